//! What other programs hash passwords by: PBKDF2 (RFC 8018 section 5.2) and scrypt (RFC 7914) by OpenSSL, bcrypt by a library of
//! its own. Each has bounds on its cost: one check takes less than about a second of one core, and 128 MiB.

use openssl::hash::MessageDigest;
use openssl::pkcs5;
use zeroize::Zeroizing;

/// The longest key and salt, in bytes; OpenSSL and the recommendations end far below.
pub(super) const MOST_BYTES: usize = 64;
/// The shortest key, in bytes: a shorter one is met by chance.
pub(super) const LEAST_KEY_BYTES: usize = 16;

const NO_NUMBER: &str = "its parameters are not those of its form";

/// A number as these forms write one: digits alone.
pub(super) fn number(text: &str) -> Result<u32, &'static str> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().map_err(|_| NO_NUMBER) } else { Err(NO_NUMBER) }
}

/// The digest that PBKDF2 is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prf {
    Sha1,
    Sha256,
    Sha512,
}

impl Prf {
    fn digest(self) -> MessageDigest {
        match self {
            Self::Sha1 => MessageDigest::sha1(),
            Self::Sha256 => MessageDigest::sha256(),
            Self::Sha512 => MessageDigest::sha512(),
        }
    }

    /// The bytes of one block.
    const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The most iterations, those of all blocks together. Each takes about 0.6 s; OWASP asks for 1,300,000, 600,000 and
    /// 210,000.
    const fn most(self) -> u64 {
        match self {
            Self::Sha1 | Self::Sha256 => 1_500_000,
            Self::Sha512 => 600_000,
        }
    }
}

/// PBKDF2 with HMAC.
pub(super) struct Pbkdf2 {
    prf: Prf,
    iterations: u32,
    /// The bytes of the key: as the form says, or one block at most.
    pub(super) length: Option<usize>,
}

impl Pbkdf2 {
    /// Of the words of its form: `i=600000,l=32`, or the iterations alone.
    pub(super) fn parse(prf: Prf, words: &str) -> Result<Self, &'static str> {
        let (iterations, length) = match words.strip_prefix("i=") {
            Some(rest) => match rest.split_once(",l=") {
                Some((iterations, length)) => (number(iterations)?, Some(number(length)?)),
                None => (number(rest)?, None),
            },
            None => (number(words)?, None),
        };
        let length = length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if iterations == 0 || length.is_some_and(|length| !(LEAST_KEY_BYTES..=MOST_BYTES).contains(&length)) {
            return Err(NO_NUMBER);
        }
        let blocks = length.unwrap_or(1).div_ceil(prf.bytes());
        if u64::from(iterations) * u64::try_from(blocks).unwrap_or(u64::MAX) > prf.most() {
            return Err(
                "its cost is so high that checking it would stop the server; at most i=1500000 of PBKDF2 with SHA-1 and SHA-256 and i=600000 with SHA-512, less where the key is longer than the digest",
            );
        }
        Ok(Self { prf, iterations, length })
    }

    /// Whether a key has as many bytes as one of this form.
    pub(super) fn takes(&self, bytes: usize) -> bool {
        self.length.map_or(bytes <= self.prf.bytes(), |length| bytes == length)
    }

    pub(super) fn usual_bytes(&self) -> usize {
        self.length.unwrap_or(self.prf.bytes())
    }

    pub(super) fn compute(&self, text: &str, salt: &[u8], made: &mut [u8]) -> Option<()> {
        let iterations = usize::try_from(self.iterations).ok()?;
        pkcs5::pbkdf2_hmac(text.as_bytes(), salt, iterations, self.prf.digest(), made).ok()
    }
}

/// scrypt.
pub(super) struct Scrypt {
    log_n: u32,
    r: u32,
    p: u32,
}

impl Scrypt {
    /// Of the words of its form: `ln=17,r=8,p=1`.
    pub(super) fn parse(words: &str) -> Result<Self, &'static str> {
        /// 2¹⁷ · 8 · 1, OWASP's first choice: 128 MiB, and about 0.6 s.
        const MOST_WORK: u64 = 1 << 20;
        const MOST_LANES: u32 = 16;
        const MOST_BLOCKS: u32 = 64;
        let mut numbers = words.split(',').zip(["ln=", "r=", "p="]).map(|(word, name)| word.strip_prefix(name));
        let mut next = || number(numbers.next().flatten().ok_or(NO_NUMBER)?);
        let (log_n, r, p) = (next()?, next()?, next()?);
        if words.split(',').count() != 3 || log_n == 0 || r == 0 || p == 0 {
            return Err(NO_NUMBER);
        }
        // RFC 7914 section 6: N is less than 2 to the power of 16 r.
        if u64::from(log_n) >= 16 * u64::from(r) {
            return Err(NO_NUMBER);
        }
        let block = u64::from(r).saturating_mul(1 << log_n.min(32));
        if log_n > 20
            || r > MOST_BLOCKS
            || p > MOST_LANES
            || block > MOST_WORK
            || block.saturating_mul(p.into()) > MOST_WORK
        {
            return Err(
                "its cost is so high that checking it would stop the server; at most 128 MiB, r=64, p=16, and 2 to the power of ln times r times p 1048576 (ln=17,r=8,p=1)",
            );
        }
        Ok(Self { log_n, r, p })
    }

    pub(super) fn compute(&self, text: &str, salt: &[u8], made: &mut [u8]) -> Option<()> {
        /// For the 128 MiB of the table, and what the lanes take.
        const MOST_MEMORY: u64 = 160 << 20;
        let (n, r, p) = (1 << self.log_n, self.r.into(), self.p.into());
        pkcs5::scrypt(text.as_bytes(), salt, n, r, p, MOST_MEMORY, made).ok()
    }
}

/// bcrypt, as `$2a$`, `$2b$` and `$2y$` say; `$2x$` marks the hashes of a faulty implementation and is none of them.
pub(super) struct Bcrypt {
    cost: u32,
}

impl Bcrypt {
    /// The bytes of a hash; its last one is not written.
    pub(super) const HASH_BYTES: usize = 23;
    /// The bytes of a salt.
    pub(super) const SALT_BYTES: usize = 16;

    /// Of its cost: two digits.
    pub(super) fn parse(cost: &str) -> Result<Self, &'static str> {
        /// 13 takes about 0.6 s, 14 more than a second.
        const MOST: u32 = 13;
        let cost = if cost.len() == 2 { number(cost)? } else { return Err(NO_NUMBER) };
        match cost {
            0..4 => Err(NO_NUMBER),
            4..=MOST => Ok(Self { cost }),
            _ => Err("its cost is so high that checking it would stop the server; at most 13 for bcrypt"),
        }
    }

    /// What comes after 72 bytes counts for nothing, as everywhere. It ends at a NUL, so a password that has one would be that of
    /// its beginning: it is hashed and matches nothing.
    pub(super) fn compute(&self, text: &str, salt: &[u8], made: &mut [u8]) -> Option<()> {
        const MOST: usize = 72;
        let mut bytes = Zeroizing::new(text.as_bytes().to_vec());
        bytes.push(0);
        bytes.truncate(MOST);
        let hash = Zeroizing::new(bcrypt::bcrypt(self.cost, salt.try_into().ok()?, &bytes));
        made.copy_from_slice(hash.get(..made.len())?);
        (!text.contains('\0')).then_some(())
    }
}
