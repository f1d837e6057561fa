// SPDX-License-Identifier: Apache-2.0
'use strict'

// Totals of an invoice: [{"item": "...", "quantity": 2, "price": 1250}, ...] with prices in cents.
module.exports = async (event, context) => {
  const lines = typeof event.body === 'string' || Buffer.isBuffer(event.body) ? JSON.parse(event.body.toString()) : event.body
  if (!Array.isArray(lines) || !lines.every(line => Number.isInteger(line.quantity) && Number.isInteger(line.price))) {
    return context.status(400).fail('Send a JSON array of {"item", "quantity", "price"} with whole numbers.')
  }
  const net = lines.reduce((sum, line) => sum + line.quantity * line.price, 0)
  const tax = Math.round(net * Number(process.env.TAX_PERCENT || 20) / 100)
  return context
    .status(200)
    .headers({ 'Content-Type': 'application/json' })
    .succeed(JSON.stringify({ lines: lines.length, net, tax, total: net + tax }))
}
