//! What a new password is worth: whether it is too short, on the lists of common ones, or the user's own name; and how long
//! it would take to be guessed, by [zxcvbn](https://www.usenix.org/conference/usenixsecurity16/technical-sessions/presentation/wheeler)
//! and its lists.

use super::{Busy, Passwords, argon2id};
use crate::protocol::secret::Password;
use std::sync::atomic::Ordering;
use zeroize::Zeroizing;
use zxcvbn::matching::patterns::MatchPattern;
use zxcvbn::{Entropy, zxcvbn};

/// The shortest password that a user may choose, in characters of the prepared password.
pub const SHORTEST: usize = 10;

/// How many characters are looked at: the time that this takes grows much faster than their number. What lies behind makes a
/// password no easier to guess.
const LOOKED_AT: usize = 72;
/// As many different ways to read digits and signs as letters are tried at most: each costs a look at all the lists.
const MOST_SUBSTITUTIONS: usize = 64;
/// What takes fewer guesses than this is no better than the lists themselves, which have 30,000 passwords.
const GUESSED_LIKE_A_COMMON_ONE: u64 = 100_000;
/// How many hashes of ours an attacker with one fast machine tries in a second.
const GUESSES_PER_SECOND: u64 = 10_000;

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// It has fewer than `SHORTEST` characters.
    Short,
    /// It is on a list of common ones, or no harder to guess.
    Common,
    /// It is the name of the user or of the organization.
    Personal,
}

/// What a password is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strength {
    /// Why it is not taken.
    pub weakness: Option<Weakness>,
    /// How long it takes to be guessed by who has its hash, in seconds.
    pub seconds: u64,
}

impl Passwords {
    /// What a prepared password is worth; `names` are those of the user and of the organization. It is looked at off the async
    /// threads, one at a time.
    ///
    /// # Errors
    /// `Busy` when the queue is full.
    pub async fn strength(&self, password: Password, names: Vec<String>) -> Result<Strength, Busy> {
        let turn = self.judges.enter().await?;
        turn.run(move || judge(password.expose(), &names)).await
    }

    /// Hashes a prepared password that a user has chosen; a turn at the gate of users, after those who wait there. `None`: argon2
    /// refuses it.
    ///
    /// # Errors
    /// `Busy` when the queue is full.
    pub async fn make(&self, password: Password) -> Result<Option<String>, Busy> {
        let turn = self.turn_for_person().await?;
        let counter = self.computed.clone();
        turn.run(move || {
            counter.fetch_add(1, Ordering::SeqCst);
            argon2id::hash_with(password.expose(), argon2id::our_parameters().ok()?).ok()
        })
        .await
    }
}

fn judge(password: &str, names: &[String]) -> Strength {
    let looked_at: Zeroizing<String> = Zeroizing::new(password.chars().take(LOOKED_AT).collect());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let entropy = zxcvbn(&without_many_substitutions(&looked_at), &names);
    let is_short = password.chars().count() < SHORTEST;
    let whole = (looked_at.len() == password.len()).then(|| whole_match(&entropy)).flatten();
    let weakness = match whole {
        _ if is_short => Some(Weakness::Short),
        Some(Whole::Name) => Some(Weakness::Personal),
        Some(Whole::Word) => Some(Weakness::Common),
        None => (entropy.guesses() < GUESSED_LIKE_A_COMMON_ONE).then_some(Weakness::Common),
    };
    Strength { weakness, seconds: entropy.guesses() / GUESSES_PER_SECOND }
}

/// What the whole of a password is.
enum Whole {
    /// A word of one of the lists, perhaps backwards, or with digits and signs for letters.
    Word,
    /// One of the names that were given.
    Name,
}

fn whole_match(entropy: &Entropy) -> Option<Whole> {
    let [only] = entropy.sequence() else { return None };
    match &only.pattern {
        // The type of the lists' names is not public.
        MatchPattern::Dictionary(word) if format!("{:?}", word.dictionary_name) == "UserInputs" => Some(Whole::Name),
        MatchPattern::Dictionary(_) => Some(Whole::Word),
        _ => None,
    }
}

/// The signs that each letter may be written as.
const SIGNS: [&str; 12] = ["4@", "8", "({[<", "3", "69", "1!|", "1|7", "0", "$5", "+7", "%", "2"];

/// In how many ways the signs of a text can be read as letters. What may be one of two letters is tried as either.
fn ways(text: &str) -> usize {
    let different = |signs: &str| signs.chars().filter(|sign| text.contains(*sign)).count();
    SIGNS.iter().map(|signs| different(signs).max(1)).product::<usize>() << different("1|7")
}

/// The same with signs that stand for no letter, where there are too many ways to read them as letters: no word has so many.
fn without_many_substitutions(password: &str) -> Zeroizing<String> {
    if ways(password) <= MOST_SUBSTITUTIONS {
        return Zeroizing::new(password.to_owned());
    }
    let signs = SIGNS.concat();
    // A sign that no list has takes the place of each, so that neither its length nor its variety changes much.
    Zeroizing::new(password.chars().map(|c| if signs.contains(c) { '\u{b7}' } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weakness(password: &str) -> Option<Weakness> {
        let names = ["alice", "alice@example.com", "Alice Wonderland Example", "id.example.com"];
        judge(password, &names.map(str::to_owned)).weakness
    }

    #[test]
    fn a_password_of_ten_characters_that_no_list_has_is_taken() {
        for good in
            ["correct horse battery staple", "ölfußmaß-q", "Xy7!pQ0-vv", "七つの子なぜ鳴くの烏は", &"x9-Q".repeat(200)]
        {
            assert_eq!(weakness(good), None, "{good}");
        }
    }

    #[test]
    fn a_common_password_is_found_also_backwards_and_with_signs_for_letters() {
        for (bad, why) in [
            ("123456789", Weakness::Short),
            ("äöüß12345", Weakness::Short),
            ("qwertyuiop", Weakness::Common),
            ("QWERTYUIOP", Weakness::Common),
            ("poiuytrewq", Weakness::Common),
            ("basketball", Weakness::Common),
            ("b@sk3tb@ll", Weakness::Common),
            ("llabteksab", Weakness::Common),
            ("1234567890", Weakness::Common),
            ("aaaaaaaaaaaaaaa", Weakness::Common),
            ("abcdefghijkl", Weakness::Common),
            ("passwordpassword", Weakness::Common),
            ("alice@example.com", Weakness::Personal),
            ("ALICE@EXAMPLE.COM", Weakness::Personal),
            ("Alice Wonderland Example", Weakness::Personal),
            ("id.example.com", Weakness::Personal),
            ("moc.elpmaxe@ecila", Weakness::Personal),
        ] {
            assert_eq!(weakness(bad), Some(why), "{bad}");
        }
    }

    #[test]
    fn a_longer_password_takes_longer_to_be_guessed() {
        let seconds =
            ["basketball7", "basketball7 zebra", "basketball7 zebra quarrel", "basketball7 zebra quarrel xylem"]
                .map(|password| judge(password, &[]).seconds);
        assert!(seconds.is_sorted() && seconds[0] < 3600 && seconds[3] > 86_400 * 365, "{seconds:?}");
    }

    /// Each sign that may stand for a letter doubles the work, and repetitions are looked for in every place.
    #[test]
    fn what_is_made_to_take_long_does_not() {
        let signs = "4@8({[<3691!|70$5+%2".repeat(50);
        let repeated = format!("{}b", "a".repeat(71));
        let pairs = "ab".repeat(512);
        let words = "1|7passwordl337$5@4".repeat(40);
        for hostile in [&signs, &repeated, &pairs, &words, &"\u{1f600}".repeat(250)] {
            assert!(ways(&without_many_substitutions(hostile)) <= MOST_SUBSTITUTIONS, "{hostile}");
            // It ends, and does not panic.
            let _ = judge(hostile, &[]);
        }
    }
}
