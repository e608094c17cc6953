// A service on Auth.js, with the provider that `hallpass client new --for authjs` prints, as it is, in provider.mjs of the
// working directory. `GET /` answers who is signed in; a sign-in starts at /api/auth/signin.

import { createServer } from 'node:http'
import { webcrypto } from 'node:crypto'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

// Node 18 has it, but not where this library looks for it.
globalThis.crypto ??= webcrypto
const { Auth } = await import('@auth/core')
const { default: provider } = await import(pathToFileURL(join(process.cwd(), 'provider.mjs')))

const config = { providers: [provider], basePath: '/api/auth', secret: process.env.AUTH_SECRET, trustHost: true }

// What the adapter of a framework does: a request of the web platform in, its response out.
async function asked(path, { method = 'GET', headers, body }) {
    const plain = Object.entries(headers).filter(([, value]) => typeof value === 'string')
    return Auth(new Request(`${process.env.BASE_URL}${path}`, { method, headers: Object.fromEntries(plain), body }), config)
}

async function read(request) {
    const parts = []
    for await (const part of request) parts.push(part)
    return Buffer.concat(parts)
}

createServer(async (request, response) => {
    const { method, headers, url } = request
    if (url.startsWith('/api/auth/')) {
        const answer = await asked(url, { method, headers, body: method === 'POST' ? await read(request) : undefined })
        for (const [name, value] of answer.headers) {
            if (name !== 'set-cookie') response.setHeader(name, value)
        }
        response.setHeader('set-cookie', answer.headers.getSetCookie())
        response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()))
        return
    }
    const session = await (await asked('/api/auth/session', { headers })).json()
    const known = session ? { signed_in: true, name: session.user.name, email: session.user.email } : { signed_in: false }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(known))
}).listen(process.env.PORT, '127.0.0.1')
