//! Broken and hostile input: a clear answer, nothing lost, no other request held up.

use crate::support::verbs::{Auth, http, send};
use crate::support::{Authorization, NewClient, TestClient, TestProvider, UserAgent};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn ready() -> (TestProvider, TestClient, UserAgent) {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    (provider, client, UserAgent::new())
}

/// Sends bytes as they are and reads until the server closes or says no more for a while.
async fn raw(provider: &TestProvider, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(provider.address).await.unwrap();
    // A server that refuses early may close before all is written.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(read)) = tokio::time::timeout(Duration::from_millis(700), stream.read(&mut buffer)).await {
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok()).unwrap_or(0)
}

async fn post(
    provider: &TestProvider,
    path: &str,
    content_type: &str,
    body: impl Into<reqwest::Body>,
) -> crate::support::Api {
    send(http().post(provider.url(path)).header("content-type", content_type).body(body)).await
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Malformed UTF-8, NUL, broken escapes, too much of anything: `invalid_request`, on every API endpoint.
#[tokio::test]
async fn broken_forms_are_invalid_request() {
    let (provider, ..) = ready().await;
    let many = (0..500).map(|number| format!("p{number}=x")).collect::<Vec<_>>().join("&");
    let bodies: Vec<Vec<u8>> = vec![
        b"grant_type=\xff\xfe".to_vec(),
        b"grant_type=%ff".to_vec(),
        b"grant_type=%00".to_vec(),
        b"grant_type=a\0b".to_vec(),
        b"grant_type=%".to_vec(),
        b"grant_type=%zz".to_vec(),
        format!("grant_type={}", "a".repeat(20_000)).into_bytes(),
        "a=b&".repeat(40_000).into_bytes(),
        many.into_bytes(),
        b"%c3%28=x".to_vec(),
    ];
    for path in ["/token", "/introspect", "/revoke"] {
        for body in &bodies {
            let answer = post(&provider, path, FORM, body.clone()).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(30)]).into_owned();
            assert_eq!(answer.error(), (400, "invalid_request".into()), "{path} {shown}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
        }
    }
}

/// Another content type is not guessed at.
#[tokio::test]
async fn another_content_type_is_invalid_request() {
    let (provider, ..) = ready().await;
    for content_type in
        ["application/json", "text/plain", "multipart/form-data; boundary=x", "", "application/x-www-form-urlencoded-x"]
    {
        let answer = post(&provider, "/token", content_type, "grant_type=client_credentials").await;
        assert_eq!(answer.error(), (400, "invalid_request".into()), "{content_type}");
    }
    let answer = post(&provider, "/token", "Application/X-WWW-Form-URLEncoded; charset=utf-8", "grant_type=x").await;
    assert_eq!(answer.error(), (401, "invalid_client".into()));
}

/// Nothing is unpacked, so nothing can burst.
#[tokio::test]
async fn a_compressed_body_is_refused() {
    let (provider, ..) = ready().await;
    for coding in ["gzip", "br", "deflate", "gzip, gzip"] {
        let request =
            http().post(provider.url("/token")).header("content-type", FORM).header("content-encoding", coding);
        assert_eq!(send(request.body("grant_type=x")).await.error(), (400, "invalid_request".into()), "{coding}");
    }
}

/// 405 with `Allow`, readable for the caller.
#[tokio::test]
async fn another_method_is_405_with_allow() {
    let (provider, ..) = ready().await;
    for (method, path, allowed) in [
        ("GET", "/token", "POST"),
        ("PUT", "/token", "POST"),
        ("DELETE", "/userinfo", "GET,HEAD,POST"),
        ("POST", "/jwks", "GET,HEAD"),
        ("POST", "/.well-known/openid-configuration", "GET,HEAD"),
        ("PATCH", "/authorize", "GET,HEAD,POST"),
        ("TRACE", "/login", "GET,HEAD,POST"),
        ("GET", "/revoke", "POST"),
    ] {
        let request = || http().request(method.parse().unwrap(), provider.url(path));
        let answer = send(request()).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        assert_eq!(answer.text("error"), "invalid_request");
        let page = send(request().header("accept", "text/html,*/*")).await;
        assert_eq!(page.status, 405);
        assert!(page.body.contains("<h1>") && page.header("allow") == Some(allowed), "{}", page.body);
    }
}

/// A page for people, JSON for machines, and nothing that looks like a file.
#[tokio::test]
async fn an_unknown_path_is_a_page_or_json() {
    let (provider, ..) = ready().await;
    for path in [
        "/nothing",
        "/token/",
        "//token",
        "/TOKEN",
        "/assets/../token",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/etc/passwd",
        "/.git/config",
        "/authorize;x=y",
        "/authorize/../token",
        "/authorize/%2e%2e/token",
        "/authorize%2f..%2ftoken",
        "/%61uthorize",
        "/AUTHORIZE",
        "/login/.",
        "/./login",
        "/login%00",
        "/login%3finteraction=x",
        "/login\\..\\token",
        "/%00",
    ] {
        let answer =
            raw(&provider, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await;
        assert_eq!(status(&answer), 404, "{path}: {answer}");
        assert!(answer.contains("application/json") && answer.contains("not_found"), "{path}: {answer}");
    }
    let page = UserAgent::new().get(&provider.url("/nothing")).await;
    assert_eq!(page.status, 404);
    assert!(page.text().contains(page.header("x-request-id").unwrap()));
}

/// Request smuggling: shapes that two servers in a row could read differently end the connection.
#[tokio::test]
async fn ambiguous_requests_are_refused() {
    let (provider, ..) = ready().await;
    let smuggled = "GET /jwks HTTP/1.1\r\nHost: x\r\n\r\n";
    for head in [
        "POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 32\r\n\r\n",
        "POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 4, 8\r\n\r\n",
        "POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\n",
        "POST /token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        "POST /token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST /token HTTP/1.1\r\nHost: x\r\n X: folded\r\n\r\n",
        "GET /jwks HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        "GET /jwks HTTP/9.9\r\nHost: x\r\n\r\n",
        "GET /jwks HTTP/1.1\r\nHost: x\r\nX: a\r\n folded\r\n\r\n",
        "GET /jwks HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
        "GET /jwks HTTP/1.1\r\nHost: x\r\nX\r\n\r\n",
        "GET /jwks HTTP/1.1\rHost: x\r\r",
        "GET /a b/jwks HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /token HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        // RFC 9112 section 3.2: one host, no more and no less.
        "GET /jwks HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET /jwks HTTP/1.1\r\n\r\n",
        "\r\n\r\n\0\0\0",
        "nonsense\r\n\r\n",
    ] {
        let answer = raw(&provider, format!("{head}{smuggled}").as_bytes()).await;
        assert!(!answer.contains("\"keys\""), "{head:?}: {answer}");
        assert!([0, 400, 431, 501, 505].contains(&status(&answer)), "{head:?}: {answer}");
    }
    // Both lengths given: the chunked one counts, and what follows is not read as a second request of another client.
    let both = "POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX";
    let answer = raw(&provider, both.as_bytes()).await;
    assert_eq!(status(&answer), 400, "{answer}");
    for both in ["Content-Length: 6\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 6"] {
        let request = format!("POST /token HTTP/1.1\r\nHost: x\r\n{both}\r\n\r\n0\r\n\r\n{smuggled}");
        let answer = raw(&provider, request.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{both}: {answer}");
        assert!(!answer.contains("\"keys\""), "{both}: {answer}");
    }
}

/// Chunks of a length that another server might read differently: the body is broken off, and so is the connection.
#[tokio::test]
async fn broken_chunks_are_refused() {
    let (provider, ..) = ready().await;
    let smuggled = "GET /jwks HTTP/1.1\r\nHost: x\r\n\r\n";
    for chunks in [
        "fffffffffffffffff\r\n",
        "0x4\r\na=bc\r\n0\r\n\r\n",
        "+4\r\na=bc\r\n0\r\n\r\n",
        "-4\r\na=bc\r\n0\r\n\r\n",
        "4\na=bc\n0\n\n",
        "4\r\na=bcde\r\n0\r\n\r\n",
        "4;x=\ny\r\na=bc\r\n0\r\n\r\n",
        "\r\n\r\n",
    ] {
        let head =
            format!("POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n");
        let answer = raw(&provider, format!("{head}{chunks}{smuggled}").as_bytes()).await;
        assert!([0, 400].contains(&status(&answer)), "{chunks:?}: {answer}");
        assert!(!answer.contains("\"keys\""), "{chunks:?}: {answer}");
    }
    let sound = format!(
        "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na=bc\r\n0\r\n\r\n"
    );
    assert_eq!(status(&raw(&provider, sound.as_bytes()).await), 401, "invalid_client: the form was read");
}

/// Targets that are no path of ours: another server's address is read as the path behind it, and derives nothing from it;
/// the others lead nowhere.
#[tokio::test]
async fn a_target_that_is_no_path_leads_nowhere() {
    let (provider, client, _) = ready().await;
    let document = "http://evil.example/.well-known/openid-configuration";
    let answer = raw(
        &provider,
        format!("GET {document} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").as_bytes(),
    )
    .await;
    assert!(status(&answer) == 200 && !answer.contains("evil.example"), "{answer}");
    let query = Authorization::of(&client).url(&provider);
    let query = query.split_once('?').unwrap().1;
    let request = format!(
        "GET http://evil.example/authorize?{query} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    );
    let answer = raw(&provider, request.as_bytes()).await;
    assert!(status(&answer) == 303 && !answer.contains("evil.example"), "{answer}");
    for line in [
        "OPTIONS * HTTP/1.1",
        "CONNECT evil.example:443 HTTP/1.1",
        "PRI * HTTP/2.0",
        "GET * HTTP/1.1",
        "GET jwks HTTP/1.1",
    ] {
        let answer = raw(&provider, format!("{line}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await;
        assert!([0, 400, 404, 405, 505].contains(&status(&answer)), "{line}: {answer}");
    }
    let _ = provider.get("/jwks", &[]).await.ok();
}

/// What a proxy that is not named claims to have heard: no address, no scheme and no path follows it.
#[tokio::test]
async fn claims_of_a_proxy_change_nothing_but_whose_limits_count() {
    let (provider, client, _) = ready().await;
    let poison = [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "/evil.example"),
        ("x-forwarded-for", "evil.example"),
        ("forwarded", "for=1.2.3.4;host=evil.example;proto=https"),
        ("x-original-url", "/evil.example"),
        ("x-rewrite-url", "/evil.example"),
        ("x-http-method-override", "DELETE"),
        ("host", "evil.example"),
    ];
    let poisoned = || poison.iter().fold(UserAgent::new(), |browser, (name, value)| browser.with_header(name, value));
    let browser = poisoned();
    let request = Authorization::of(&client);
    let page = browser.cross_site_get(&request.url(&provider)).await;
    assert!(page.location().unwrap().as_str().starts_with(&provider.url("/login")), "{page}");
    let cookie = page.header("set-cookie").unwrap();
    assert!(!cookie.contains("Secure") && !cookie.contains("Domain"), "{cookie}");
    assert!(page.header("strict-transport-security").is_none());
    let page = provider.settle(&browser, page).await;
    assert!(!page.body.contains("evil.example"), "{}", page.body);
    let answer = request.complete(&provider, &poisoned()).await;
    assert_eq!(answer.get("iss"), Some(provider.issuer.as_str()));
    let tokens = provider.redeem(&client, answer.code()).await.ok();
    let claims = crate::support::claims_of(&tokens.text("id_token"));
    assert_eq!(claims["iss"], provider.issuer);
    let signed_out = poisoned().get(&provider.url("/logout")).await;
    assert!(!signed_out.body.contains("evil.example"), "{}", signed_out.body);
}

/// Huge heads are refused, huge bodies are not read.
#[tokio::test]
async fn huge_heads_and_bodies_are_refused() {
    let (provider, ..) = ready().await;
    let huge = format!("GET /jwks HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(200_000));
    assert_eq!(status(&raw(&provider, huge.as_bytes()).await), 431);
    let many = format!("GET /jwks HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(2000));
    assert_eq!(status(&raw(&provider, many.as_bytes()).await), 431);
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100_000));
    assert!([414, 431].contains(&status(&raw(&provider, long.as_bytes()).await)));
    let claimed = "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 99999999999\r\n\r\na=b";
    assert_eq!(status(&raw(&provider, claimed.as_bytes()).await), 400, "the length alone says that it is too large");
    // Without a length it is read up to the bound, and no further.
    let mut endless = b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    endless.extend(format!("{:x}\r\n{}\r\n", 100_000, "a".repeat(100_000)).bytes());
    assert_eq!(status(&raw(&provider, &endless).await), 400);
}

/// Slow clients and idle connections cost a place each, and no more: others are answered meanwhile.
#[tokio::test]
async fn slow_and_idle_connections_hold_no_request_up() {
    let (provider, ..) = ready().await;
    let mut idle = Vec::new();
    for number in 0..300 {
        let mut stream = TcpStream::connect(provider.address).await.unwrap();
        let part: &[u8] = match number % 3 {
            0 => b"",
            1 => b"GET /jwks HTTP/1.1\r\nHost",
            _ => b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 50\r\n\r\na=",
        };
        stream.write_all(part).await.unwrap();
        idle.push(stream);
    }
    for _ in 0..20 {
        let _ = provider.get("/jwks", &[]).await.ok();
    }
    drop(idle);
}

/// A body that does not come is given up, and said so.
#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let (provider, ..) = ready().await;
    let mut stream = TcpStream::connect(provider.address).await.unwrap();
    let head = "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 50\r\n\r\na=";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 2000];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert_eq!(status(&answer), 400, "{answer}");
    assert!(answer.contains("did not arrive in time"), "{answer}");
}

/// CR and LF never reach a header of ours.
#[tokio::test]
async fn line_breaks_do_not_split_an_answer() {
    let (provider, client, browser) = ready().await;
    let state = "x\r\nSet-Cookie: evil=1\r\n\r\n<html>";
    let answer = Authorization::of(&client).with("state", state).complete(&provider, &browser).await;
    assert_eq!(answer.get("state"), Some(state));
    for parameter in [
        "client_id",
        "redirect_uri",
        "scope",
        "login_hint",
        "ui_locales",
        "response_type",
        "response_mode",
        "prompt",
        "max_age",
        "nonce",
        "claims",
        "code_challenge",
        "id_token_hint",
        "resource",
        "request",
        state,
    ] {
        let page = Authorization::of(&client).with(parameter, state).open(&provider, &UserAgent::new()).await;
        assert!(page.header("set-cookie").is_none_or(|cookie| !cookie.contains("evil")), "{page}");
        assert!(!page.headers.contains_key("evil"));
    }
    // Where a header repeats what was sent: a challenge names the parameter that was doubled.
    let doubled = [(state, "1"), (state, "2")];
    let answer = provider.post("/userinfo", Auth::Bearer("x"), &doubled).await;
    assert_eq!(answer.error(), (400, "invalid_request".into()));
    assert!(!answer.headers.contains_key("set-cookie"), "{:?}", answer.headers);
    // And a sign-out leads back with the `state` it was given.
    let leaving = NewClient::new("leaving").with("consent", "skip").leaving_to("https://leaving.example/out");
    let leaving = provider.add(leaving).await;
    let hint = provider.tokens(&browser, &leaving).await.text("id_token");
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("id_token_hint", &hint)
        .append_pair("post_logout_redirect_uri", "https://leaving.example/out")
        .append_pair("state", state)
        .finish();
    let page = browser.cross_site_get(&format!("{}?{query}", provider.url("/logout"))).await;
    assert_eq!(page.query_parameter("state").as_deref(), Some(state));
    let cookies: Vec<_> = page.headers.get_all("set-cookie").iter().collect();
    assert!(cookies.len() == 1 && !page.headers.contains_key("evil"), "{:?}", page.headers);
}

/// A page that says which parameter was wrong says its name, whatever it is.
#[tokio::test]
async fn markup_in_a_parameters_name_stays_text() {
    let (provider, ..) = ready().await;
    let name = "<script>alert(1)</script><img src=x onerror=alert(1)>";
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([(name, "1"), (name, "2"), ("client_id", name), ("redirect_uri", name), ("logout", name)])
        .finish();
    for path in ["/authorize", "/login", "/consent", "/logout", "/nothing"] {
        let page = UserAgent::new().get(&format!("{}?{query}", provider.url(path))).await;
        assert!(page.status.is_client_error() || path == "/logout", "{page}");
        assert!(!page.body.contains("<script>alert") && !page.body.contains("<img src=x"), "{}", page.body);
    }
}

/// Look-alikes are other names: nothing is normalized into another's. Wide letters are the same letters (RFC 8265
/// section 3.3), from an East Asian keyboard.
#[tokio::test]
async fn look_alikes_are_strangers() {
    let (provider, client, browser) = ready().await;
    for client_id in ["rep\u{43e}rts", "reports\u{200b}", "REPORTS", "reports ", "r\u{0065}\u{0301}ports", "reports%00"]
    {
        let page = Authorization::of(&client).with("client_id", client_id).open(&provider, &browser).await;
        assert_eq!(page.status, 400, "{client_id:?}: {page}");
    }
    for name in ["\u{430}lice", "alice\u{200b}", "alic\u{0435}"] {
        let browser = UserAgent::new();
        let page = Authorization::of(&client).open(&provider, &browser).await;
        let page = provider.type_in(&browser, &page, name, crate::support::provider::PASSWORD).await;
        assert_eq!(page.status, 422, "{name:?}: {page}");
    }
}

/// A client secret followed by NUL, or cut, or padded, is another secret.
#[tokio::test]
async fn a_secret_is_compared_to_its_last_byte() {
    let (provider, client, _) = ready().await;
    let secret = client.secret.clone().unwrap();
    for wrong in
        [format!("{secret}\0"), format!("{secret} "), secret[..secret.len() - 1].to_owned(), secret.to_uppercase()]
    {
        let refused = provider.post("/revoke", Auth::Basic("reports", &wrong), &[("token", "x")]).await;
        assert!([(401, "invalid_client".to_owned())].contains(&refused.error()), "{wrong:?}: {}", refused.body);
    }
}

/// NUL cannot come by a form, but by a Basic header, which is base64: it reaches no database, which might not take it.
#[tokio::test]
async fn a_name_with_nul_in_the_header_is_a_clients_fault_and_none_of_ours() {
    use base64::Engine as _;
    let (provider, client, _) = ready().await;
    let secret = client.secret.clone().unwrap();
    for pair in [format!("rep\0orts:{secret}"), format!("reports\0:{secret}"), format!("reports:{secret}\0")] {
        let header = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(&pair));
        let request = http().post(provider.url("/token")).header("authorization", header);
        let request = request.header("content-type", FORM).body("grant_type=client_credentials");
        assert_eq!(send(request).await.error(), (401, "invalid_client".into()), "{pair:?}");
    }
}

/// Values beyond any sense: long ones are refused, numbers out of range too, and the database never sees a NUL.
#[tokio::test]
async fn over_long_values_are_refused() {
    let (provider, client, browser) = ready().await;
    let long = "a".repeat(17 * 1024);
    for name in ["state", "nonce", "login_hint", "unknown"] {
        let page = browser
            .cross_site_post(&provider.url("/authorize"), &Authorization::of(&client).with(name, &long).fields())
            .await;
        assert_eq!(page.status, 400, "{name}: {page}");
    }
    for max_age in ["99999999999999999999", "1e3", "0x10", " 5", "+5"] {
        let page = Authorization::of(&client).with("max_age", max_age).open(&provider, &browser).await;
        assert_eq!(crate::support::Answer::of(&page, &client.redirect_uri).error(), "invalid_request", "{max_age}");
    }
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let mut form = page.form("form");
    form.set("username", &"a".repeat(10_000)).set("password", &"b".repeat(10_000));
    assert_eq!(browser.submit(form, Some(("action", "sign_in"))).await.status, 422);
}

/// argon2 is bounded in cores, and discovery stays quick while 64 people sign in.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_sign_ins_at_once_leave_the_rest_alone() {
    let (provider, client, _) = ready().await;
    let sign_ins = (0..64).map(|_| async {
        let browser = UserAgent::new();
        Authorization::of(&client).complete(&provider, &browser).await
    });
    let discovery = async {
        let mut answered = 0;
        for _ in 0..100 {
            let _ = provider.get("/.well-known/openid-configuration", &[]).await.ok();
            answered += 1;
        }
        answered
    };
    let (answers, answered) = tokio::join!(futures_util::future::join_all(sign_ins), discovery);
    assert_eq!(answered, 100);
    assert!(answers.iter().all(|answer| !answer.code().is_empty()));
    let cores = std::thread::available_parallelism().unwrap().get();
    assert!(provider.provider.passwords.most_at_once() <= cores.saturating_sub(1).max(1));
}

/// Cookies of other sites, of other providers, doubled and nonsensical ones.
#[tokio::test]
async fn foreign_cookies_change_nothing() {
    let (provider, client, browser) = ready().await;
    for (name, value) in
        [("other", "x"), ("hallpass_session_00000000", "hp_si_x"), ("a", "\"quoted; x\""), ("__Host-x", "y")]
    {
        browser.set_cookie(&provider.issuer, &format!("{name}={value}; Path=/"));
    }
    let answer = provider.sign_in(&browser, &client).await;
    assert!(!answer.code().is_empty());
    let session = browser
        .cookies()
        .into_iter()
        .find(|cookie| cookie.name.contains("session") && cookie.value.len() > 20)
        .unwrap();
    for header in [
        format!("{0}={1}; {0}=hp_si_other", session.name, session.value),
        format!("{}=", session.name),
        format!("{}={}", session.name, "a".repeat(5000)),
        "=; ;;; =x".to_owned(),
    ] {
        let url = Authorization::of(&client).with("prompt", "none").url(&provider);
        let answer = send(http().get(url).header("cookie", header)).await;
        assert!(answer.header("location").unwrap().contains("error=login_required"), "{:?}", answer.headers);
    }
}

/// Markup in every registered field that reaches a page stays text.
#[tokio::test]
async fn markup_in_registered_fields_stays_text() {
    let (provider, _, browser) = ready().await;
    let markup = "<img src=x onerror=alert(1)>\"'&<script>alert(2)</script>";
    let client = NewClient::new("markup").with("client_name", markup).with("client_uri", "javascript:alert(1)");
    let client = provider.add(client.with("policy_uri", "data:text/html,x").with("scope", "openid <b>")).await;
    provider.sql(&format!("UPDATE users SET name = '{}'", markup.replace('\'', "''"))).await;
    let page = Authorization::of(&client)
        .with("scope", "openid <b>")
        .with("login_hint", markup)
        .open(&provider, &browser)
        .await;
    assert_eq!(page.form("form").value("username"), Some(markup));
    let consent = provider.type_in(&browser, &page, "alice", crate::support::provider::PASSWORD).await;
    for page in [&page, &consent] {
        assert!(
            !page.body.contains("<img src=x") && !page.body.contains("<script>alert") && !page.body.contains("<b>"),
            "{}",
            page.body
        );
        assert!(!page.body.contains("javascript:") && !page.body.contains("data:text"), "{}", page.body);
        assert!(page.text().contains("<img src=x onerror=alert(1)>"), "{page}");
    }
}
