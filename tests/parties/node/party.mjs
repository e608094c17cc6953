// A service on openid-client, with the logout token checked by jose: what README.md of the folder above says a party does.

import { createServer } from 'node:http'
import { webcrypto } from 'node:crypto'

// Node 18 has it, but not where these libraries look for it.
globalThis.crypto ??= webcrypto
const client = await import('openid-client')
const { createRemoteJWKSet, jwtVerify } = await import('jose')

const {
    OIDC_DISCOVERY_URL,
    OIDC_CLIENT_ID,
    OIDC_CLIENT_SECRET,
    OIDC_SCOPE = 'openid profile email',
    OIDC_AUTH_METHOD = 'client_secret_basic',
    OIDC_ALGORITHM = 'RS256',
    BASE_URL,
} = process.env

const authentication = {
    client_secret_basic: () => client.ClientSecretBasic(OIDC_CLIENT_SECRET),
    client_secret_post: () => client.ClientSecretPost(OIDC_CLIENT_SECRET),
    none: () => client.None(),
}

// Asked for at the first request, so that a service can start before its provider.
let found
function configuration() {
    const metadata = { id_token_signed_response_alg: OIDC_ALGORITHM }
    const options = { execute: [client.allowInsecureRequests] }
    found ??= client.discovery(new URL(OIDC_DISCOVERY_URL), OIDC_CLIENT_ID, metadata, authentication[OIDC_AUTH_METHOD](), options)
    return found
}

const redirectUri = `${BASE_URL}/callback`
const signedOutUri = `${BASE_URL}/signed-out`
// Of sign-ins and sign-outs in progress, and of users who are in, each by the cookie of its browser.
const pending = new Map()
const sessions = new Map()
const spentLogoutTokens = new Set()
let keys

const endpoints = {
    async 'GET /'({ session }) {
        if (!session) return { json: { signed_in: false } }
        const { sub, name, email } = session.known
        return { json: { signed_in: true, sub, name, email } }
    },

    async 'GET /login'({ id }) {
        const verifier = client.randomPKCECodeVerifier()
        const checks = { state: client.randomState(), nonce: client.randomNonce(), verifier }
        pending.set(id, checks)
        const url = client.buildAuthorizationUrl(await configuration(), {
            redirect_uri: redirectUri,
            scope: OIDC_SCOPE,
            state: checks.state,
            nonce: checks.nonce,
            code_challenge: await client.calculatePKCECodeChallenge(verifier),
            code_challenge_method: 'S256',
        })
        return { location: url.href }
    },

    async 'GET /callback'({ id, url }) {
        const checks = pending.get(id)
        pending.delete(id)
        if (!checks) return { status: 400, json: { error: 'no sign-in is in progress' } }
        const config = await configuration()
        const tokens = await client.authorizationCodeGrant(config, url, {
            pkceCodeVerifier: checks.verifier,
            expectedState: checks.state,
            expectedNonce: checks.nonce,
            idTokenExpected: true,
        })
        const claims = tokens.claims()
        const known = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
        sessions.set(id, { tokens, claims, known })
        return { location: `${BASE_URL}/` }
    },

    async 'GET /refresh'({ session }) {
        if (!session?.tokens.refresh_token) return { status: 400, json: { error: 'there is no refresh token' } }
        const config = await configuration()
        const before = session.tokens
        const tokens = await client.refreshTokenGrant(config, before.refresh_token)
        const claims = tokens.claims()
        if (claims.sub !== session.claims.sub) throw new Error('another user was refreshed')
        session.known = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
        session.tokens = tokens
        session.idToken = before.id_token
        return {
            json: {
                sub: session.known.sub,
                another_access_token: tokens.access_token !== before.access_token,
                another_refresh_token: tokens.refresh_token !== before.refresh_token,
            },
        }
    },

    // What the provider says of this service's own access token.
    async 'GET /introspect'({ session }) {
        const { active, sub } = await client.tokenIntrospection(await configuration(), session.tokens.access_token)
        return { json: { active, sub } }
    },

    async 'GET /revoke'({ session }) {
        const config = await configuration()
        await client.tokenRevocation(config, session.tokens.refresh_token ?? session.tokens.access_token)
        const { active } = await client.tokenIntrospection(config, session.tokens.access_token)
        return { json: { active } }
    },

    async 'GET /logout'({ id, session }) {
        if (!session) return { location: `${BASE_URL}/` }
        sessions.delete(id)
        const state = client.randomState()
        pending.set(id, { leaving: state })
        const url = client.buildEndSessionUrl(await configuration(), {
            id_token_hint: session.tokens.id_token,
            post_logout_redirect_uri: signedOutUri,
            state,
        })
        return { location: url.href }
    },

    async 'GET /signed-out'({ id, url }) {
        const expected = pending.get(id)?.leaving
        pending.delete(id)
        if (!expected || url.searchParams.get('state') !== expected) {
            return { status: 400, json: { error: 'this is not the state that was sent' } }
        }
        return { json: { signed_in: false, by: 'this service' } }
    },

    async 'POST /backchannel'({ body }) {
        const config = await configuration()
        const { issuer, jwks_uri } = config.serverMetadata()
        keys ??= createRemoteJWKSet(new URL(jwks_uri))
        const { payload } = await jwtVerify(new URLSearchParams(body).get('logout_token') ?? '', keys, {
            issuer,
            audience: OIDC_CLIENT_ID,
            algorithms: [OIDC_ALGORITHM],
            typ: 'logout+jwt',
            requiredClaims: ['iat', 'exp', 'jti', 'events'],
            maxTokenAge: '2 minutes',
        })
        const isLogout = typeof payload.events['http://schemas.openid.net/event/backchannel-logout'] === 'object'
        if (!isLogout || 'nonce' in payload || !(payload.sid || payload.sub) || spentLogoutTokens.has(payload.jti)) {
            throw new Error('this is no logout token, or an old one')
        }
        spentLogoutTokens.add(payload.jti)
        for (const [id, { claims }] of sessions) {
            if (payload.sid ? claims.sid === payload.sid : claims.sub === payload.sub) sessions.delete(id)
        }
        return { status: 200, json: {} }
    },
}

function cookieOf(request) {
    return /(?:^|; )node_party=([\w-]+)/.exec(request.headers.cookie ?? '')?.[1]
}

async function bodyOf(request) {
    let body = ''
    for await (const part of request) body += part
    return body
}

createServer(async (request, response) => {
    const url = new URL(request.url, BASE_URL)
    const id = cookieOf(request) ?? crypto.randomUUID()
    const endpoint = endpoints[`${request.method} ${url.pathname}`]
    let answer
    try {
        answer = endpoint
            ? await endpoint({ id, url, session: sessions.get(id), body: await bodyOf(request) })
            : { status: 404, json: { error: 'there is nothing here' } }
    } catch (error) {
        console.error(error)
        // What an OAuth error said, however it came.
        const code = error.cause instanceof URLSearchParams ? error.cause.get('error') : error.error
        answer = { status: 400, json: { error: code ?? error.code ?? error.message } }
    }
    const headers = { 'cache-control': 'no-store', 'set-cookie': `node_party=${id}; Path=/; HttpOnly; SameSite=Lax` }
    if (answer.location) {
        response.writeHead(302, { ...headers, location: answer.location }).end()
    } else {
        const status = answer.status ?? 200
        response.writeHead(status, { ...headers, 'content-type': 'application/json' }).end(JSON.stringify(answer.json))
    }
}).listen(Number(new URL(BASE_URL).port), '127.0.0.1')
