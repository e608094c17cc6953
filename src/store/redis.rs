//! The short-lived store in Redis: one server, a cluster, or a master found by sentinels.
//!
//! Every verb is one command or one script over one key, so the answer is atomic wherever the key lives (`started` has
//! several keys, in one slot). A command whose answer was lost is not repeated: a code taken twice would look like a replay.

mod persistence;
mod started;

use crate::failure::Failure;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::ephemeral::{Counted, Facts, Tallied, Tally};
use crate::store::reach;
use ::redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use ::redis::cluster::ClusterClient;
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use ::redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use ::redis::{Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind, cmd};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, RwLock};

/// How long a command may take before the request that needs it fails; the client is answered within two seconds.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long connecting may take at the start, and how long it is tried in the background.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// `GET` with `XX` and `KEEPTTL` in one `SET` came with 6.2.
const LEAST_VERSION: (u32, u32) = (6, 2);

const REPLACE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) return 1 end return 0";

// A script that begins with a deletion may write although the memory is full (`maxmemory`): what ends something must
// work when nothing can be started any more.
const MARK: &str = "local known = redis.call('EXISTS', KEYS[1]) redis.call('DEL', KEYS[1]) redis.call('SET', KEYS[1], '1', 'EX', ARGV[1]) return 1 - known";

// ARGV: now, then for each field its name, window, most and amount. A field holds a count and until when it counts. All
// fields are counted or none is. Gives {0, count, ends_in, …} or {number of the field that is over, ends_in}.
const TALLY: &str = "\
local now = tonumber(ARGV[1])
local fields, answer, longest = {}, {0}, 1
for at = 2, #ARGV, 4 do
  local window, most, amount = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local count, ends_at = 0, now + window
  local text = redis.call('HGET', KEYS[1], ARGV[at])
  if text then
    local known, known_ends_at = string.match(text, '^(%d+) (%d+)$')
    if tonumber(known_ends_at) > now then count, ends_at = tonumber(known), tonumber(known_ends_at) end
  end
  if amount > 0 and count + amount > most then return {(at + 2) / 4, math.max(ends_at - now, 1)} end
  count = math.max(count + amount, 0)
  table.insert(fields, ARGV[at])
  table.insert(fields, string.format('%d %d', count, ends_at))
  table.insert(answer, count)
  table.insert(answer, ends_at - now)
  longest = math.max(longest, ends_at - now)
end
redis.call('HSET', KEYS[1], unpack(fields))
if redis.call('TTL', KEYS[1]) < longest then redis.call('EXPIRE', KEYS[1], longest) end
if redis.call('HLEN', KEYS[1]) > 1024 then
  local all = redis.call('HGETALL', KEYS[1])
  for at = 1, #all, 2 do
    if tonumber(string.match(all[at + 1], ' (%d+)$')) <= now then redis.call('HDEL', KEYS[1], all[at]) end
  end
end
return answer";

enum Link {
    Server(ConnectionManager),
    Cluster(ClusterConnection),
    Sentinel(Arc<Sentinel>),
}

struct Sentinel {
    client: Mutex<SentinelClient>,
    connection: RwLock<MultiplexedConnection>,
}

pub(super) struct Redis {
    link: Link,
}

impl Redis {
    /// Connects, and looks whether it is a Redis that may be used and lets us do what we must.
    pub(super) async fn open(url: &SecretString) -> Result<Self, StoreError> {
        let url = url.expose_secret();
        let named = reach::Redis::named_by(url);
        let refused = |error| named.refused(error, CONNECT_PATIENCE);
        let redis = Self { link: connect(url).await.map_err(refused)? };
        redis.may_be_used(named.is_alone()).await.map_err(refused)?;
        redis.check().await?;
        Ok(redis)
    }

    /// Tries what every node must do; whether the memory is full or the server is being replaced is seen later.
    async fn may_be_used(&self, is_alone: bool) -> RedisResult<()> {
        const KEY: &str = "hallpass:probe";
        let mut commands = [cmd("SET"), cmd("GET"), cmd("EVAL"), cmd("DEL")];
        commands[0].arg(KEY).arg("1").arg("EX").arg(10);
        commands[1].arg(KEY);
        commands[2].arg("return 1").arg(1).arg(KEY);
        commands[3].arg(KEY);
        for command in &commands {
            let Err(error) = self.run::<::redis::Value>(command).await else { continue };
            if error.is_io_error() {
                break;
            }
            let is_lasting = error.to_string().contains("NOAUTH")
                || match error.kind() {
                    ErrorKind::Server(ServerErrorKind::NoPerm) | ErrorKind::AuthenticationFailed => true,
                    ErrorKind::Server(ServerErrorKind::Moved) => is_alone,
                    _ => false,
                };
            if is_lasting {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Refuses a server that is too old or that may evict what is live.
    async fn check(&self) -> Result<(), StoreError> {
        let mut info_command = cmd("INFO");
        info_command.arg("server");
        let info = self.ask_every_node(&info_command).await.unwrap_or_default();
        for version in info.split("redis_version:").skip(1) {
            let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
            let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
            if found < LEAST_VERSION {
                let what = format!("Redis {}.{} is too old", found.0, found.1);
                return Err(Failure::new(what).with_fix("use Redis 6.2 or newer").into());
            }
        }
        let mut policy_command = cmd("CONFIG");
        policy_command.arg("GET").arg("maxmemory-policy");
        match self.ask_every_node(&policy_command).await {
            // One node of a cluster is enough.
            Ok(policies) if ["lru", "lfu", "random", "ttl"].iter().any(|evicting| policies.contains(evicting)) => {
                let what = "Redis may evict live sign-ins and the tombstones of used codes when its memory is full";
                return Err(Failure::new(what).with_fix("set maxmemory-policy noeviction").into());
            }
            Ok(policies) if policies.contains("noeviction") => {}
            _ => tracing::warn!("Redis does not tell its maxmemory-policy; make sure that it is noeviction"),
        }
        Ok(())
    }

    /// Version, policy, clock, and what a crash brings back, each if the server tells.
    pub(super) async fn facts(&self) -> Facts {
        let mut info_command = cmd("INFO");
        info_command.arg("server");
        let info = self.ask_every_node(&info_command).await.unwrap_or_default();
        let version = info
            .split("redis_version:")
            .nth(1)
            .map(|rest| rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect::<String>());
        let mut policy_command = cmd("CONFIG");
        policy_command.arg("GET").arg("maxmemory-policy");
        let policies = self.ask_every_node(&policy_command).await.unwrap_or_default();
        let time: Option<(i64, i64)> = self.run(&cmd("TIME")).await.ok();
        let persistence = self.persistence().await;
        Facts {
            version,
            tells_policy: policies.contains("noeviction"),
            clock: time.map(|(seconds, _)| NumericDate(seconds)),
            warnings: persistence.warnings,
            cost_of_a_crash: persistence.cost,
        }
    }

    /// What every node says of how it keeps what it holds. Behind a Sentinel that is the master of the moment.
    async fn persistence(&self) -> persistence::Persisted {
        let config = |name: &str| {
            let mut command = cmd("CONFIG");
            command.arg("GET").arg(name);
            command
        };
        let mut info = cmd("INFO");
        info.arg("persistence");
        let commands = [config("appendonly"), config("appendfsync"), config("save"), info];
        let mut answers: [BTreeMap<String, ::redis::Value>; 4] = Default::default();
        for (answer, command) in answers.iter_mut().zip(&commands) {
            // One that forbids it says nothing.
            *answer = self.answers_of_every_node(command).await.unwrap_or_default();
        }
        persistence::judge(&answers)
    }

    /// The answer of each node of a cluster by its address, or that of the one server by an empty one.
    async fn answers_of_every_node(&self, command: &Cmd) -> RedisResult<BTreeMap<String, ::redis::Value>> {
        match &self.link {
            Link::Cluster(cluster) => {
                let every_node = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllNodes, None));
                let answer = cluster.clone().route_command(command.clone(), every_node).await?;
                let answers = answer.into_map_iter().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
                Ok(answers
                    .into_iter()
                    .filter_map(|(node, answer)| Some((String::from_redis_value(node).ok()?, answer)))
                    .collect())
            }
            Link::Server(_) | Link::Sentinel(_) => {
                Ok(BTreeMap::from([(String::new(), self.run::<::redis::Value>(command).await?)]))
            }
        }
    }

    /// What the server says, or every node of a cluster; `run` would ask one of them at random.
    async fn ask_every_node(&self, command: &Cmd) -> RedisResult<String> {
        let answer = match &self.link {
            Link::Cluster(cluster) => {
                let every_node = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllNodes, None));
                cluster.clone().route_command(command.clone(), every_node).await?
            }
            Link::Server(_) | Link::Sentinel(_) => self.run::<::redis::Value>(command).await?,
        };
        Ok(format!("{answer:?}"))
    }

    /// The drivers' futures are large, and a request joins several: each is put aside. A driver that connects again, or
    /// asks one node after the other, takes its own time; no request waits for that.
    async fn run<T: FromRedisValue + Send>(&self, command: &Cmd) -> RedisResult<T> {
        if let Ok(result) = tokio::time::timeout(PATIENCE, Box::pin(self.send(command))).await {
            return result;
        }
        if let Link::Sentinel(sentinel) = &self.link {
            // In the background: who waits has waited long enough.
            let sentinel = sentinel.clone();
            tokio::spawn(async move { sentinel.find_master().await });
        }
        Err(RedisError::from((ErrorKind::Io, "the command took too long")))
    }

    async fn send<T: FromRedisValue + Send>(&self, command: &Cmd) -> RedisResult<T> {
        match &self.link {
            Link::Server(manager) => command.query_async(&mut manager.clone()).await,
            Link::Cluster(cluster) => command.query_async(&mut cluster.clone()).await,
            Link::Sentinel(sentinel) => {
                let mut connection = sentinel.connection.read().await.clone();
                let result = command.query_async(&mut connection).await;
                if let Err(error) = &result
                    && (error.is_io_error() || error.is_connection_dropped() || error.code() == Some("READONLY"))
                {
                    sentinel.find_master().await;
                }
                result
            }
        }
    }

    pub(super) async fn put(&self, key: &str, value: &str, ttl: i64) -> Result<(), StoreError> {
        Ok(self.run(cmd("SET").arg(key).arg(value).arg("EX").arg(ttl)).await?)
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.run(cmd("GET").arg(key)).await?)
    }

    pub(super) async fn spend(&self, key: &str, ttl: i64) -> Result<Option<String>, StoreError> {
        Ok(self.run(cmd("SET").arg(key).arg("").arg("XX").arg("EX").arg(ttl).arg("GET")).await?)
    }

    pub(super) async fn replace(&self, key: &str, expected: &str, value: &str, ttl: i64) -> Result<bool, StoreError> {
        let replaced: i64 =
            self.run(cmd("EVAL").arg(REPLACE).arg(1).arg(key).arg(expected).arg(value).arg(ttl)).await?;
        Ok(replaced == 1)
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        Ok(self.run(cmd("DEL").arg(key)).await?)
    }

    /// Takes it away altogether.
    pub(super) async fn remove(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.run(cmd("GETDEL").arg(key)).await?)
    }

    /// Puts a marker, also where the memory is full. `false`: it was there before.
    pub(super) async fn mark(&self, key: &str, ttl: i64) -> Result<bool, StoreError> {
        let is_new: i64 = self.run(cmd("EVAL").arg(MARK).arg(1).arg(key).arg(ttl)).await?;
        Ok(is_new == 1)
    }

    pub(super) async fn tally(
        &self,
        key: &str,
        tallies: &[Tally<'_>],
        now: NumericDate,
    ) -> Result<Tallied, StoreError> {
        let mut command = cmd("EVAL");
        command.arg(TALLY).arg(1).arg(key).arg(now.0);
        for Tally { field, window, most, amount } in tallies {
            command.arg(*field).arg(*window).arg(*most).arg(*amount);
        }
        let answer: Vec<i64> = self.run(&command).await?;
        Ok(match answer.as_slice() {
            [0, counted @ ..] => {
                let pairs = counted.chunks_exact(2);
                Tallied::Counted(pairs.map(|pair| Counted { count: pair[0], ends_in: pair[1] }).collect())
            }
            [number, ends_in] => {
                Tallied::Over { index: usize::try_from(number - 1).unwrap_or_default(), ends_in: *ends_in }
            }
            _ => Tallied::Counted(Vec::new()),
        })
    }

    /// How many a field counts now.
    pub(super) async fn tallied(&self, key: &str, field: &str, now: NumericDate) -> Result<i64, StoreError> {
        let text: Option<String> = self.run(cmd("HGET").arg(key).arg(field)).await?;
        let parts = text.as_deref().and_then(|text| text.split_once(' '));
        let live = parts.filter(|(_, ends_at)| ends_at.parse::<i64>().is_ok_and(|ends_at| ends_at > now.0));
        Ok(live.and_then(|(count, _)| count.parse().ok()).unwrap_or(0))
    }
}

impl Sentinel {
    /// Asks the sentinels who is the master now; the next command goes there.
    async fn find_master(&self) {
        // A task that finds the client taken leaves it to the one that has it.
        let Ok(mut client) = self.client.try_lock() else { return };
        match tokio::time::timeout(PATIENCE, client.get_async_connection()).await {
            Ok(Ok(connection)) => *self.connection.write().await = connection,
            Ok(Err(error)) => tracing::warn!(%error, "the sentinels know no master"),
            Err(_) => tracing::warn!("the sentinels do not answer"),
        }
    }
}

async fn connect(url: &str) -> RedisResult<Link> {
    if let Some(rest) = url.strip_prefix("redis+sentinel://") {
        let mut client = sentinel_client(rest)?;
        let connection = client.get_async_connection().await?;
        return Ok(Link::Sentinel(Arc::new(Sentinel {
            client: Mutex::new(client),
            connection: RwLock::new(connection),
        })));
    }
    if url.contains(',') {
        let nodes: Vec<&str> = url.split(',').map(str::trim).collect();
        let client =
            ClusterClient::builder(nodes).connection_timeout(CONNECT_PATIENCE).response_timeout(PATIENCE).build()?;
        return Ok(Link::Cluster(client.get_async_connection().await?));
    }
    let settings = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_PATIENCE))
        .set_response_timeout(Some(PATIENCE))
        .set_number_of_retries(1);
    Ok(Link::Server(ConnectionManager::new_with_config(Client::open(url)?, settings).await?))
}

/// Reads `[user:password@]host:port[,host:port…]/service[/database]`.
fn sentinel_client(rest: &str) -> RedisResult<SentinelClient> {
    // The settings have looked at its form.
    let fault = || RedisError::from((ErrorKind::InvalidClientConfig, "it has not the form of a URL of Sentinels"));
    let (authority, path) = rest.split_once('/').ok_or_else(fault)?;
    let (credentials, hosts) =
        authority.rsplit_once('@').map_or((None, authority), |(credentials, hosts)| (Some(credentials), hosts));
    let (service, database) =
        path.split_once('/').map_or((path, None), |(service, database)| (service, Some(database)));
    let mut addresses = Vec::new();
    for host in hosts.split(',') {
        let (name, port) = host.trim().rsplit_once(':').ok_or_else(fault)?;
        addresses
            .push(ConnectionAddr::Tcp(name.trim_matches(['[', ']']).to_owned(), port.parse().map_err(|_| fault())?));
    }
    let mut builder = SentinelClientBuilder::new(addresses, service, SentinelServerType::Master)?;
    if let Some(credentials) = credentials {
        let (user, password) = credentials.split_once(':').ok_or_else(fault)?;
        let decode = |text: &str| {
            form_urlencoded::parse(text.replace('+', "%2B").as_bytes())
                .next()
                .map(|(text, _)| text.into_owned())
                .unwrap_or_default()
        };
        if !user.is_empty() {
            builder = builder.set_client_to_redis_username(decode(user));
        }
        builder = builder.set_client_to_redis_password(decode(password));
    }
    if let Some(database) = database.filter(|database| !database.is_empty()) {
        builder = builder.set_client_to_redis_db(database.parse().map_err(|_| fault())?);
    }
    builder.build()
}
