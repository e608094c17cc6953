//! What strangers had us keep, in Redis: the same as `memory/started.rs` does in process, by scripts over five keys and a
//! list for each network. Their names share a hash tag, so a cluster keeps them in one slot.
//!
//! `records` (id → value), `owners` (id → weight, place in time, network), `yielding` and `staying` (ids by their
//! place), `weights` (network → bytes; the whole under `*`, the number of the last place under `#`), `of:{network}` (ids of a
//! network that are yielding, by their place).

use super::Redis;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::ephemeral::{Fill, Start};
use ::redis::cmd;

// KEYS: records, owners, yielding, staying, weights, of:network; the lists of other networks are beside the last.
// ARGV: id, value, weight, network, network budget, share, lifetime, now, the name of `of:` without a network. What was
// started in one second is told apart by a number. Gives 1; 0 where it would not fit at all.
const START: &str = "\
local weight, now = tonumber(ARGV[3]), tonumber(ARGV[8])
local network_budget, share, lifetime = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local function weigh(network, more)
  if redis.call('HINCRBY', KEYS[5], network, more) <= 0 then redis.call('HDEL', KEYS[5], network) end
  redis.call('HINCRBY', KEYS[5], '*', more)
end
local function drop(id)
  local owner = redis.call('HGET', KEYS[2], id)
  redis.call('HDEL', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
  redis.call('ZREM', KEYS[4], id)
  if owner then
    local its_weight, network = string.match(owner, '^(%d+) %d+ (.*)$')
    weigh(network, -tonumber(its_weight))
    redis.call('ZREM', ARGV[9] .. network, id)
  end
end
if weight > network_budget or weight > share then return 0 end
for number = 3, 4 do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[number], '-inf', string.format('(%.0f', (now - lifetime + 1) * 1000000), 'LIMIT', 0, 128)) do drop(id) end
end
while tonumber(redis.call('HGET', KEYS[5], ARGV[4]) or 0) + weight > network_budget do
  local oldest = redis.call('ZRANGE', KEYS[6], 0, 0)[1]
  if not oldest then
    for _, id in ipairs(redis.call('ZRANGE', KEYS[4], 0, 999)) do
      if string.match(redis.call('HGET', KEYS[2], id), '^%d+ %d+ (.*)$') == ARGV[4] then oldest = id break end
    end
  end
  if not oldest then return 0 end
  drop(oldest)
end
while tonumber(redis.call('HGET', KEYS[5], '*') or 0) + weight > share do
  local oldest = redis.call('ZRANGE', KEYS[3], 0, 0)[1] or redis.call('ZRANGE', KEYS[4], 0, 0)[1]
  if not oldest then return 0 end
  drop(oldest)
end
local place = string.format('%.0f', now * 1000000 + redis.call('HINCRBY', KEYS[5], '#', 1) % 1000000)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], string.format('%d %s %s', weight, place, ARGV[4]))
redis.call('ZADD', KEYS[3], place, ARGV[1])
redis.call('ZADD', KEYS[6], place, ARGV[1])
weigh(ARGV[4], weight)
for number = 1, 6 do redis.call('EXPIRE', KEYS[number], lifetime) end
return 1";

// KEYS: as above without the last. ARGV: id, expected value, value, weight, 1 where it gives way after all others, the name of
// `of:` without a network.
const CHANGE: &str = "\
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
local owner = redis.call('HGET', KEYS[2], ARGV[1])
if not owner then return 0 end
local weight, place, network = string.match(owner, '^(%d+) (%d+) (.*)$')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[1], string.format('%d %s %s', tonumber(ARGV[4]), place, network))
local more = tonumber(ARGV[4]) - tonumber(weight)
redis.call('HINCRBY', KEYS[5], network, more)
redis.call('HINCRBY', KEYS[5], '*', more)
if ARGV[5] == '1' then
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('ZADD', KEYS[4], place, ARGV[1])
  redis.call('ZREM', ARGV[6] .. network, ARGV[1])
end
return 1";

// KEYS: as above. ARGV: id, weight of a tombstone, the name of `of:` without a network. It begins with a deletion, so it works
// in a full Redis too.
const TAKE: &str = "\
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then return false end
local owner = redis.call('HGET', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], '')
if owner then
  local weight, place, network = string.match(owner, '^(%d+) (%d+) (.*)$')
  redis.call('HSET', KEYS[2], ARGV[1], string.format('%d %s %s', tonumber(ARGV[2]), place, network))
  local more = tonumber(ARGV[2]) - tonumber(weight)
  redis.call('HINCRBY', KEYS[5], network, more)
  redis.call('HINCRBY', KEYS[5], '*', more)
  redis.call('ZREM', KEYS[4], ARGV[1])
  redis.call('ZADD', KEYS[3], place, ARGV[1])
  redis.call('ZADD', ARGV[3] .. network, place, ARGV[1])
end
return value";

/// The names of the five keys under a prefix that ends with a colon.
fn keys(prefix: &str) -> [String; 5] {
    ["records", "owners", "yielding", "staying", "weights"].map(|name| format!("{prefix}{{started}}:{name}"))
}

/// The name of the list of a network, without the network.
fn of(prefix: &str) -> String {
    format!("{prefix}{{started}}:of:")
}

impl Redis {
    pub(in crate::store) async fn start(
        &self,
        prefix: &str,
        start: &Start<'_>,
        value: &str,
        now: NumericDate,
    ) -> Result<(), StoreError> {
        let mut command = cmd("EVAL");
        let of = of(prefix);
        command.arg(START).arg(6).arg(&keys(prefix)).arg(format!("{of}{}", start.network));
        command.arg(start.id).arg(value).arg(Start::weight(value)).arg(start.network);
        command.arg(start.network_budget).arg(start.share).arg(start.ttl).arg(now.0).arg(of);
        let is_kept: i64 = self.run(&command).await?;
        if is_kept == 1 { Ok(()) } else { Err(StoreError::Full) }
    }

    pub(in crate::store) async fn started(&self, prefix: &str, id: &str) -> Result<Option<String>, StoreError> {
        let [records, ..] = keys(prefix);
        Ok(self.run(cmd("HGET").arg(records).arg(id)).await?)
    }

    pub(in crate::store) async fn change_started(
        &self,
        prefix: &str,
        id: &str,
        expected: &str,
        value: &str,
        is_typed_into: bool,
    ) -> Result<bool, StoreError> {
        let mut command = cmd("EVAL");
        command.arg(CHANGE).arg(5).arg(&keys(prefix)).arg(id).arg(expected).arg(value);
        command.arg(Start::weight(value)).arg(i64::from(is_typed_into)).arg(of(prefix));
        let is_changed: i64 = self.run(&command).await?;
        Ok(is_changed == 1)
    }

    pub(in crate::store) async fn take_started(&self, prefix: &str, id: &str) -> Result<Option<String>, StoreError> {
        Ok(self
            .run(cmd("EVAL").arg(TAKE).arg(5).arg(&keys(prefix)).arg(id).arg(Start::weight("")).arg(of(prefix)))
            .await?)
    }

    pub(in crate::store) async fn fill_of_started(&self, prefix: &str, share: i64) -> Result<Fill, StoreError> {
        let [.., weights] = keys(prefix);
        let stored: Option<i64> = self.run(cmd("HGET").arg(weights).arg("*")).await?;
        Ok(Fill { stored: stored.unwrap_or(0), most: share })
    }
}
