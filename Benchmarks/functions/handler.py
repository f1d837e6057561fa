# SPDX-License-Identifier: Apache-2.0
def handle(req):
    return req
