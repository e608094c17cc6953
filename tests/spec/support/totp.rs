//! An authenticator app, by another implementation than ours: Python's `hmac`, RFC 4226 section 5.3.

use std::process::Command;

const PROGRAM: &str = "import base64, hashlib, hmac, struct, sys\n\
     key = base64.b32decode(sys.argv[1])\n\
     digest = hmac.new(key, struct.pack('>Q', int(sys.argv[2]) // 30), hashlib.sha1).digest()\n\
     at = digest[-1] & 15\n\
     print('%06d' % ((struct.unpack('>I', digest[at:at + 4])[0] & 0x7fffffff) % 1000000))";

/// What an authenticator with that secret (base32) shows at an instant.
pub fn code(secret: &str, at: i64) -> String {
    let secret: String = secret.chars().filter(|c| !c.is_whitespace()).collect();
    let output = Command::new("python3").args(["-c", PROGRAM, &secret, &at.to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
