//! What the short-lived store keeps for whom: the share of what strangers started, counters, and what ends something, on
//! every form of the store.

use crate::store_contract::{ShortLived, an_issuer, as_read, short_lived};
use crate::support::redis;
use hallpass::store::StoreError;
use hallpass::store::ephemeral::{Counted, Start, Taken, Tallied, Tally};
use std::sync::atomic::Ordering;

/// Something a stranger started, with budgets that nothing here fills.
pub const fn start<'a>(id: &'a str, network: &'a str) -> Start<'a> {
    Start { id, network, network_budget: 1 << 30, share: 1 << 30, ttl: 100 }
}

/// The same with a share of four of that weight.
const fn share_of<'a>(id: &'a str, network: &'a str, weight: i64) -> Start<'a> {
    Start { share: 4 * weight, ..start(id, network) }
}

/// One count.
pub const fn tally(field: &str, window: i64, most: i64, amount: i64) -> Tally<'_> {
    Tally { field, window, most, amount }
}

const fn counted(count: i64, ends_in: i64) -> Counted {
    Counted { count, ends_in }
}

async fn are_there(here: &ShortLived, ids: &[&str]) -> Vec<bool> {
    let mut found = Vec::new();
    for id in ids {
        found.push(here.store.started::<String>(id).await.unwrap().is_some());
    }
    found
}

#[tokio::test]
async fn what_a_stranger_started_is_read_changed_and_taken_once() {
    for here in short_lived().await {
        let (name, store) = (here.name, &here.store);
        assert_eq!(store.started::<String>("a").await.unwrap(), None, "{name}");
        assert_eq!(store.take_started::<String>("a").await.unwrap(), Taken::Missing, "{name}");
        assert!(!store.change_started("a", &as_read("x"), &"y", false).await.unwrap(), "{name}");
        store.start(&start("a", "one"), &"first").await.unwrap();
        assert_eq!(store.started::<String>("a").await.unwrap().as_deref(), Some("first"), "{name}");
        assert!(!store.change_started("a", &as_read("other"), &"second", true).await.unwrap(), "{name}");
        assert!(store.change_started("a", &as_read("first"), &"second", true).await.unwrap(), "{name}");
        assert_eq!(store.take_started::<String>("a").await.unwrap(), Taken::Fresh("second".into()), "{name}");
        assert_eq!(store.take_started::<String>("a").await.unwrap(), Taken::Spent, "{name}");
        assert_eq!(store.started::<String>("a").await.unwrap(), None, "{name}");
        assert!(!store.change_started("a", &as_read("second"), &"third", false).await.unwrap(), "{name}");
        // When its time is over it is forgotten, and so is the memory of it.
        here.moved.fetch_add(100, Ordering::SeqCst);
        store.start(&start("b", "one"), &"later").await.unwrap();
        assert_eq!(store.take_started::<String>("a").await.unwrap(), Taken::Missing, "{name}");
        assert_eq!(store.fill_of_started(1).await.unwrap().stored, Start::weight("\"later\""), "{name}");
    }
}

/// A bound counts what is stored, not what was sent: what is completed makes room.
#[tokio::test]
async fn the_oldest_of_a_network_give_way_to_its_own_and_to_no_other() {
    let text = "x".repeat(1000);
    let weight = Start::weight(&serde_json::to_string(&text).unwrap());
    for here in short_lived().await {
        let (name, store) = (here.name, &here.store);
        let of = |id, network| Start { network_budget: 3 * weight + 10, ..start(id, network) };
        store.start(&of("other", "other"), &text).await.unwrap();
        for id in ["a", "b", "c", "d"] {
            store.start(&of(id, "one"), &text).await.unwrap();
        }
        assert_eq!(are_there(&here, &["other", "a", "b", "c", "d"]).await, [true, false, true, true, true], "{name}");
        // b has had input, so c is the oldest that may give way.
        assert!(store.change_started("b", &as_read(text.clone()), &text, true).await.unwrap(), "{name}");
        store.start(&of("e", "one"), &text).await.unwrap();
        assert_eq!(are_there(&here, &["other", "b", "c", "d", "e"]).await, [true, true, false, true, true], "{name}");
        // What is completed is light: two of its kind make room for one more.
        for id in ["d", "e"] {
            assert_eq!(store.take_started::<String>(id).await.unwrap(), Taken::Fresh(text.clone()), "{name}");
        }
        store.start(&of("f", "one"), &text).await.unwrap();
        assert_eq!(
            store.take_started::<String>("d").await.unwrap(),
            Taken::Spent,
            "{name}: its tombstone is still there"
        );
        assert_eq!(are_there(&here, &["other", "b", "f"]).await, [true, true, true], "{name}");
        // Where everything was typed into, the oldest of it gives way: typing shuts no user out.
        assert!(store.change_started("f", &as_read(text.clone()), &text, true).await.unwrap(), "{name}");
        store.start(&of("g", "one"), &text).await.unwrap();
        assert!(store.change_started("g", &as_read(text.clone()), &text, true).await.unwrap(), "{name}");
        store.start(&of("h", "one"), &text).await.unwrap();
        store.start(&of("more", "other"), &text).await.unwrap();
        let found = are_there(&here, &["b", "f", "g", "h", "more", "other"]).await;
        assert_eq!(found, [false, true, true, true, true, true], "{name}");
        // And whatever network it is of, where the share is full of such.
        for id in ["h", "more", "other"] {
            assert!(store.change_started(id, &as_read(text.clone()), &text, true).await.unwrap(), "{name}");
        }
        let tight = Start { share: 5 * weight, ..start("last", "third") };
        store.start(&tight, &text).await.unwrap();
        assert_eq!(are_there(&here, &["other", "last"]).await, [false, true], "{name}");
    }
}

#[tokio::test]
async fn when_the_share_is_full_the_oldest_of_all_give_way() {
    let text = "x".repeat(1000);
    let weight = Start::weight(&serde_json::to_string(&text).unwrap());
    for here in short_lived().await {
        let (name, store) = (here.name, &here.store);
        for (id, network) in [("a", "one"), ("b", "two"), ("c", "three"), ("d", "one")] {
            store.start(&share_of(id, network, weight), &text).await.unwrap();
        }
        assert_eq!(store.fill_of_started(4 * weight).await.unwrap().stored, 4 * weight, "{name}");
        assert!(store.change_started("a", &as_read(text.clone()), &text, true).await.unwrap(), "{name}");
        store.start(&share_of("e", "four", weight), &text).await.unwrap();
        assert_eq!(are_there(&here, &["a", "b", "c", "d", "e"]).await, [true, false, true, true, true], "{name}");
        // A flood ends when it ends: the next one finds room at once.
        for number in 0..200 {
            store.start(&share_of(&format!("flood {number}"), "flood", weight), &text).await.unwrap();
        }
        store.start(&share_of("after", "five", weight), &text).await.unwrap();
        assert_eq!(are_there(&here, &["a", "c", "after", "flood 199"]).await, [true, false, true, true], "{name}");
        assert_eq!(store.fill_of_started(4 * weight).await.unwrap().stored, 4 * weight, "{name}");
        // One that is larger than the share itself is never kept.
        let large = "x".repeat(10_000);
        assert!(
            matches!(store.start(&share_of("large", "six", weight), &large).await, Err(StoreError::Full)),
            "{name}"
        );
        assert_eq!(are_there(&here, &["a"]).await, [true], "{name}");
    }
}

#[tokio::test]
async fn several_counts_of_a_record_are_counted_together_or_not_at_all() {
    for here in short_lived().await {
        let (name, store) = (here.name, &here.store);
        let both = [tally("all", 100, 5, 1), tally("one", 50, 2, 1)];
        let of = async |tallies: &[Tally<'_>]| store.tally("record", tallies).await.unwrap();
        assert_eq!(of(&both).await, Tallied::Counted(vec![counted(1, 100), counted(1, 50)]), "{name}");
        assert_eq!(of(&both).await, Tallied::Counted(vec![counted(2, 100), counted(2, 50)]), "{name}");
        assert_eq!(of(&both).await, Tallied::Over { index: 1, ends_in: 50 }, "{name}");
        assert_eq!(store.tallied("record", "all").await.unwrap(), 2, "{name}: nothing was counted");
        let back = [tally("all", 1, 5, -1), tally("one", 1, 2, -1)];
        assert_eq!(of(&back).await, Tallied::Counted(vec![counted(1, 100), counted(1, 50)]), "{name}");
        let more = [tally("all", 100, 5, 4), tally("two", 50, 9, 3)];
        assert_eq!(of(&more).await, Tallied::Counted(vec![counted(5, 100), counted(3, 50)]), "{name}");
        assert_eq!(
            of(&[tally("two", 50, 9, 3), tally("all", 100, 5, 1)]).await,
            Tallied::Over { index: 1, ends_in: 100 }
        );
        // A window begins with the first and is not prolonged by the others.
        here.moved.fetch_add(50, Ordering::SeqCst);
        assert_eq!(store.tallied("record", "one").await.unwrap(), 0, "{name}");
        assert_eq!(of(&[tally("one", 50, 2, 2)]).await, Tallied::Counted(vec![counted(2, 50)]), "{name}");
        assert_eq!(store.tallied("record", "all").await.unwrap(), 5, "{name}");
        here.moved.fetch_add(50, Ordering::SeqCst);
        assert_eq!(store.tallied("record", "all").await.unwrap(), 0, "{name}");
        // Less than nothing is nothing, and what was never counted can be taken back.
        assert_eq!(of(&[tally("never", 10, 5, -3)]).await, Tallied::Counted(vec![counted(0, 10)]), "{name}");
        store.clear_tally("record").await.unwrap();
        assert_eq!(of(&both).await, Tallied::Counted(vec![counted(1, 100), counted(1, 50)]), "{name}");
    }
}

#[tokio::test]
async fn a_marker_says_whether_it_is_new() {
    for here in short_lived().await {
        let (name, store) = (here.name, &here.store);
        assert!(store.mark("ended", 100).await.unwrap(), "{name}");
        assert!(!store.mark("ended", 100).await.unwrap(), "{name}");
        assert_eq!(store.get::<u8>("ended").await.unwrap(), Some(1), "{name}");
        assert_eq!(store.remove::<u8>("ended").await.unwrap(), Some(1), "{name}");
        assert_eq!(store.remove::<u8>("ended").await.unwrap(), None, "{name}");
    }
}

/// What ends things works when what starts things does not.
#[tokio::test]
async fn a_full_redis_takes_what_ends_something() {
    let server = redis::Server::start();
    let here = ShortLived::open("Redis", &server.url(), &an_issuer()).await;
    let store = &here.store;
    store.put("session", &1, 100).await.unwrap();
    store.start(&start("sign-out", "one"), &"waiting").await.unwrap();
    assert!(server.ask("CONFIG SET maxmemory 1").starts_with("+OK"));
    for outcome in [store.put("code", &1, 100).await, store.start(&start("b", "one"), &1).await, store.probe().await] {
        let error = outcome.unwrap_err();
        assert!(error.is_outage(), "{error}");
    }
    assert!(store.mark("ended", 100).await.unwrap());
    assert!(!store.mark("ended", 100).await.unwrap());
    assert_eq!(store.remove::<i64>("session").await.unwrap(), Some(1));
    assert_eq!(store.take_started::<String>("sign-out").await.unwrap(), Taken::Fresh("waiting".into()));
    assert_eq!(store.take_started::<String>("sign-out").await.unwrap(), Taken::Spent);
    server.ask("CONFIG SET maxmemory 0");
    store.probe().await.unwrap();
}
