// A page on oidc-client-ts: a public client in the browser, with no server of its own behind it. What it was told by
// /settings.json are settings of the library's UserManager, beside the addresses below.
'use strict'

const { UserManager, WebStorageStateStore } = oidc
const show = (id, text) => { document.getElementById(id).textContent = text }

function tell(user) {
    show('state', user && !user.expired ? 'signed in' : 'signed out')
    const list = document.getElementById('known')
    list.replaceChildren()
    for (const [name, value] of Object.entries(user?.profile ?? {})) {
        const [term, description] = ['dt', 'dd'].map((element) => document.createElement(element))
        term.textContent = name
        description.textContent = typeof value === 'string' ? value : JSON.stringify(value)
        description.id = `claim-${name}`
        list.append(term, description)
    }
}

async function main() {
    const told = await (await fetch('/settings.json')).json()
    const manager = new UserManager({
        redirect_uri: `${location.origin}/callback`,
        post_logout_redirect_uri: `${location.origin}/signed-out`,
        silent_redirect_uri: `${location.origin}/silent`,
        popup_redirect_uri: `${location.origin}/popup`,
        popup_post_logout_redirect_uri: `${location.origin}/popup-signed-out`,
        revokeTokensOnSignout: true,
        userStore: new WebStorageStateStore({ store: sessionStorage }),
        automaticSilentRenew: false,
        ...told,
    })
    if (location.pathname === '/silent') {
        // In the frame of the page that renews.
        await manager.signinSilentCallback()
        return
    }
    if (location.pathname === '/popup') {
        // It tells the page that opened it, and closes.
        await manager.signinPopupCallback()
        return
    }
    if (location.pathname === '/popup-signed-out') {
        await manager.signoutPopupCallback()
        return
    }
    if (location.pathname === '/callback') {
        await manager.signinRedirectCallback()
        history.replaceState(null, '', '/')
    } else if (location.pathname === '/signed-out') {
        const answer = await manager.signoutRedirectCallback()
        show('error', `back with ${answer.userState}`)
    }
    const on = (id, action) => {
        document.getElementById(id).addEventListener('click', () => {
            show('error', '')
            action().catch((error) => show('error', error.error ?? error.message))
        })
    }
    on('login', () => manager.signinRedirect())
    on('popup', async () => {
        tell(await manager.signinPopup())
        show('error', 'by popup')
    })
    on('popup-logout', async () => {
        await manager.signoutPopup()
        tell(await manager.getUser())
        show('error', 'by popup')
    })
    on('renew', async () => {
        const before = await manager.getUser()
        const user = await manager.signinSilent()
        tell(user)
        const another = ['access_token', 'refresh_token'].filter((name) => before?.[name] !== user?.[name])
        show('error', `renewed: ${another.join(', ')}`)
    })
    on('userinfo', async () => {
        const user = await manager.getUser()
        const answer = await fetch(await manager.metadataService.getUserInfoEndpoint(), {
            headers: { authorization: `Bearer ${user.access_token}` },
        })
        show('error', answer.ok ? `userinfo: ${(await answer.json()).email}` : `userinfo: ${answer.status}`)
    })
    on('logout', () => manager.signoutRedirect({ state: 'the state' }))
    tell(await manager.getUser())
    document.body.dataset.ready = 'yes'
}

main().catch((error) => show('error', error.error ?? error.message)).finally(() => { document.body.dataset.done = 'yes' })
