// SPDX-License-Identifier: Apache-2.0
//
// Keeps one Node handler warm and serves it over Brume's socket (see docs/contracts.md).
// Started as `node handler.mjs SOCKET CONNECTIONS FILE`, or as `node handler.mjs --spare SOCKET` to wait there for these three words.
import http from "node:http";
import net from "node:net";
import { pathToFileURL } from "node:url";

const words = process.argv[2] === "--spare" ? await waitForOrder(process.argv[3]) : process.argv.slice(2);
const [socketPath, connections, file] = words;
const directory = file.slice(0, file.lastIndexOf("/"));

/** What the OpenFaaS template gives a function about its request. */
class FunctionEvent {
    constructor(request, url, body) {
        this.body = body;
        this.headers = request.headers;
        this.method = request.method;
        this.query = parseQuery(url.query);
        this.path = url.path;
    }
}

class FunctionContext {
    constructor(done) {
        this.statusCode = 200;
        this.headerValues = {};
        this.cbCalled = 0;
        this.done = done;
    }

    status(code) {
        if (!code) return this.statusCode;
        this.statusCode = code;
        return this;
    }

    headers(values) {
        if (!values) return this.headerValues;
        this.headerValues = values;
        return this;
    }

    succeed(value) {
        this.cbCalled++;
        this.done(undefined, value);
    }

    fail(value) {
        this.cbCalled++;
        if (this.statusCode === 200) this.statusCode = 500;
        this.done(value ?? new Error("The function failed without giving a reason."));
    }
}

function parseQuery(text) {
    const result = {};
    if (!text) return result;
    for (const [name, value] of new URLSearchParams(text)) {
        if (!(name in result)) result[name] = value;
        else if (Array.isArray(result[name])) result[name].push(value);
        else result[name] = [result[name], value];
    }
    return result;
}

/** The body as the template's parsers give it: JSON and forms as objects, text as a string, everything else as bytes. */
function parseBody(request, bytes) {
    const type = (request.headers["content-type"] ?? "").split(";")[0].trim().toLowerCase();
    if (process.env.RAW_BODY === "true") return bytes;
    if (type === "application/json" || type.endsWith("+json")) return bytes.length ? JSON.parse(bytes.toString("utf8")) : {};
    if (type.startsWith("text/")) return bytes.toString("utf8");
    if (type === "application/x-www-form-urlencoded") return parseQuery(bytes.toString("utf8"));
    return bytes.length ? bytes : {};
}

function oneLine(text) {
    return String(text).replace(/[\r\n]+/g, " ").replace(/[^\t\x20-\x7e]/g, "?").slice(0, 1000);
}

/** What was thrown, and where in the function's own files. */
function describe(error) {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const place = typeof error?.stack === "string" && error.stack.split("\n").find((line) => line.includes(directory + "/"));
    const match = place && /([^/\s(:]+):(\d+)(?::\d+)?\)?$/.exec(place);
    return oneLine(match ? `${text} (${match[1]}, line ${match[2]})` : text);
}

function sendFailure(response, context, error) {
    console.error(error);
    if (response.headersSent) return response.destroy();
    const text = error instanceof Error ? describe(error) : String(error);
    response.writeHead(context.statusCode === 200 ? 500 : context.statusCode, {
        ...context.headerValues,
        "Content-Type": "text/plain; charset=utf-8",
        "Brume-Failure": `handler-error ${oneLine(text)}`,
    });
    response.end(text + "\n");
}

function send(response, context, value) {
    const headers = { ...context.headerValues };
    const hasType = Object.keys(headers).some((name) => name.toLowerCase() === "content-type");
    const type = (standard) => { if (!hasType) headers["Content-Type"] = standard; };
    if (value && typeof value === "object" && (typeof value.pipe === "function" || value[Symbol.asyncIterator])) {
        type("application/octet-stream");
        response.writeHead(context.statusCode, headers);
        return stream(response, value);
    }
    let bytes = value;
    if (value === undefined || value === null) bytes = "";
    else if (typeof value === "string") type("text/plain; charset=utf-8");
    else if (value instanceof Uint8Array) type("application/octet-stream");
    else {
        type("application/json");
        bytes = JSON.stringify(value);
    }
    response.writeHead(context.statusCode, { ...headers, "Content-Length": Buffer.byteLength(bytes) });
    response.end(bytes);
}

async function stream(response, source) {
    try {
        for await (const piece of source) {
            if (!response.write(piece)) await new Promise((resume) => { response.once("drain", resume); response.once("close", resume); });
            if (response.destroyed) return;
        }
        response.end();
    } catch (error) {
        console.error(error);
        response.destroy();
    }
}

function serve(handler, request, response) {
    response.sendDate = false;
    const pieces = [];
    request.on("data", (piece) => pieces.push(piece));
    request.on("end", () => {
        let isDone = false;
        const context = new FunctionContext((error, value) => {
            if (isDone) return;
            isDone = true;
            try {
                if (error) sendFailure(response, context, error);
                else send(response, context, value);
            } catch (problem) {
                sendFailure(response, context, problem);
            }
        });
        const mark = request.url.indexOf("?");
        let path = mark < 0 ? request.url : request.url.slice(0, mark);
        try { path = decodeURIComponent(path); } catch { /* an odd path is given as it came */ }
        let body;
        try {
            body = parseBody(request, pieces.length === 1 ? pieces[0] : Buffer.concat(pieces));
        } catch (error) {
            response.writeHead(400, { "Content-Type": "text/plain; charset=utf-8" });
            return response.end(`The body is not valid JSON: ${error.message}\n`);
        }
        const event = new FunctionEvent(request, { path, query: mark < 0 ? "" : request.url.slice(mark + 1) }, body);
        const callback = (error, value) => { context.cbCalled++; context.done(error, value); };
        Promise.resolve()
            .then(() => handler(event, context, callback))
            // Like the template: a handler that answers later by callback returns undefined, and one with a third parameter waits for it.
            .then((value) => { if (!context.cbCalled && !(handler.length > 2 && value === undefined)) context.succeed(value); })
            .catch((error) => context.done(error ?? new Error("The handler rejected without a reason.")));
    });
}

/** Waits for the words and the environment of a function, takes them on and returns the last three words. */
function waitForOrder(path) {
    return new Promise((resolve) => {
        const node = net.connect(path, () => node.write("BRUME/1 gate\n"));
        let text = Buffer.alloc(0);
        node.on("data", (piece) => {
            text = Buffer.concat([text, piece]);
            if (text.length < 8 || text.length < 8 + parseInt(text.subarray(0, 8), 16)) return;
            const [directory, count, ...rest] = text.subarray(8).toString().split("\0").slice(0, -1);
            const words = rest.slice(0, Number(count));
            for (const name of Object.keys(process.env)) delete process.env[name];
            for (const entry of rest.slice(words.length)) {
                const sign = entry.indexOf("=");
                process.env[entry.slice(0, sign)] = entry.slice(sign + 1);
            }
            process.chdir(directory);
            process.argv.splice(2, Infinity, ...words.slice(-3));
            node.removeAllListeners();
            node.on("error", () => {});
            node.end("BRUME/1 ready\n");
            resolve(words.slice(-3));
        });
        node.on("error", () => process.exit(0));
        node.on("close", () => process.exit(0));
    });
}

function connect(server) {
    const socket = net.connect(socketPath);
    let wasConnected = false;
    socket.on("connect", () => {
        wasConnected = true;
        socket.write("BRUME/1 ready\n");
        server.emit("connection", socket);
    });
    socket.on("error", () => {});
    // A new connection makes a clean start; if the node is gone there is none, and with the last connection this process ends.
    socket.on("close", () => { if (wasConnected) connect(server); });
}

function failStart(error) {
    console.error(error);
    const name = file.slice(file.lastIndexOf("/") + 1);
    const socket = net.connect(socketPath);
    // Until the node has read why (and closed), this process must not be seen to end.
    socket.on("error", () => process.exit(1));
    socket.on("close", () => process.exit(1));
    socket.setTimeout(2000, () => process.exit(1));
    socket.write(`BRUME/1 failed ${name} could not be loaded: ${describe(error)}\n`);
    socket.resume();
}

try {
    const module = await import(pathToFileURL(file).href);
    const inner = module.default;
    const candidates = [inner, module.handle, module.handler, inner?.handle, inner?.handler, inner?.default];
    const handler = candidates.find((candidate) => typeof candidate === "function");
    if (!handler) throw new TypeError("it exports no function; write module.exports = async (event, context) => ...");
    // The node times calls; nothing here does.
    const settings = { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0, maxHeaderSize: 131072 };
    const server = http.createServer(settings, (request, response) => serve(handler, request, response));
    for (let i = 0; i < Number(connections); i++) connect(server);
} catch (error) {
    failStart(error);
}
