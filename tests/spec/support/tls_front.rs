//! TLS in front of a server that speaks none, as a proxy puts it there: a host name and a port of its own, and a certificate
//! that this test process has made for itself, which browsers take because they are told to (`acceptInsecureCerts`).

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509Builder, X509NameBuilder};
use std::net::SocketAddr;
use std::sync::OnceLock;
use tokio::net::{TcpListener, TcpStream};
use tokio_native_tls::TlsAcceptor;
use tokio_native_tls::native_tls;
use tokio_native_tls::native_tls::Identity;

/// The hosts that the certificate names. Browsers know without looking it up that a name below `localhost` is this machine.
pub const HOSTS: [&str; 4] = ["id.localhost", "reports.localhost", "wiki.localhost", "localhost"];

/// A port that waits for the server behind it.
pub struct TlsFront {
    /// As browsers see it.
    pub origin: String,
    listener: TcpListener,
}

impl TlsFront {
    /// Takes a port, for a server that must know its address before it starts.
    pub async fn on(host: &str) -> Self {
        assert!(HOSTS.contains(&host), "the certificate does not name {host}");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("https://{host}:{}", listener.local_addr().unwrap().port());
        Self { origin, listener }
    }

    /// Passes every connection on from now on, until the test ends.
    pub fn lead_to(self, server: SocketAddr) {
        let acceptor = TlsAcceptor::from(native_tls::TlsAcceptor::new(identity()).unwrap());
        tokio::spawn(async move {
            loop {
                let Ok((socket, _)) = self.listener.accept().await else { return };
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // Browsers open connections that they do not use, and drop them.
                    let Ok(mut outside) = acceptor.accept(socket).await else { return };
                    let mut inside = TcpStream::connect(server).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
    }
}

fn identity() -> Identity {
    let (certificate, key) = pem();
    Identity::from_pkcs8(certificate, key).unwrap()
}

/// One certificate for all hosts, and its key, made once for each test process.
pub fn pem() -> &'static (Vec<u8>, Vec<u8>) {
    static PEM: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    PEM.get_or_init(|| {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_nid(Nid::COMMONNAME, "tests of Hallpass").unwrap();
        let name = name.build();
        let mut made = X509Builder::new().unwrap();
        made.set_version(2).unwrap();
        made.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
        made.set_subject_name(&name).unwrap();
        made.set_issuer_name(&name).unwrap();
        made.set_pubkey(&key).unwrap();
        made.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        made.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
        let mut hosts = SubjectAlternativeName::new();
        for host in HOSTS {
            hosts.dns(host);
        }
        let hosts = hosts.build(&made.x509v3_context(None, None)).unwrap();
        made.append_extension(hosts).unwrap();
        made.sign(&key, MessageDigest::sha256()).unwrap();
        (made.build().to_pem().unwrap(), key.private_key_to_pem_pkcs8().unwrap())
    })
}
