// SPDX-License-Identifier: Apache-2.0

/// The documents that the gateway serves as they are.
enum Console {
    /// The OpenAPI description of every route.
    static var openAPI: [UInt8] { PackageResources.openapi_json }

    /// A small page that lists the functions through the API; the browser asks for the credentials.
    static let page = Array(
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Brume</title>
        <style>
        body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1d2733; }
        table { border-collapse: collapse; width: 100%; }
        th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #d6dde5; }
        #problem { color: #a3271b; }
        @media (prefers-color-scheme: dark) { body { background: #14191f; color: #d7dee6; } th, td { border-color: #2c3640; } }
        </style>
        </head>
        <body>
        <h1>Brume</h1>
        <p id="problem"></p>
        <table>
        <thead><tr><th>Function</th><th>Namespace</th><th>Image</th><th>Replicas</th><th>Available</th><th>Calls</th></tr></thead>
        <tbody id="functions"></tbody>
        </table>
        <p><a href="/openapi.json">API description</a> · <a href="/metrics">metrics</a></p>
        <script>
        const problem = document.getElementById("problem");
        const body = document.getElementById("functions");
        async function get(path) {
            const reply = await fetch(path);
            if (!reply.ok) throw new Error(path + ": " + (await reply.text()));
            return reply.json();
        }
        async function refresh() {
            try {
                const rows = [];
                for (const namespace of await get("/system/namespaces")) {
                    for (const f of await get("/system/functions?namespace=" + encodeURIComponent(namespace))) {
                        const row = document.createElement("tr");
                        for (const value of [f.name, f.namespace, f.image, f.replicas, f.availableReplicas, f.invocationCount]) {
                            const cell = document.createElement("td");
                            cell.textContent = value;
                            row.append(cell);
                        }
                        rows.push(row);
                    }
                }
                body.replaceChildren(...rows);
                problem.textContent = rows.length ? "" : "No function is deployed yet.";
            } catch (error) {
                problem.textContent = error.message;
            }
        }
        refresh();
        setInterval(refresh, 5000);
        </script>
        </body>
        </html>

        """.utf8)
}
