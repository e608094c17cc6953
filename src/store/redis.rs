//! The short-lived store in Redis: one server, a cluster, or a master found by sentinels.
//!
//! Every verb is one command or one script over one key, so the answer is atomic wherever the key lives. A
//! command whose answer was lost is not repeated: a code taken twice would look like a replay.

use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::ephemeral::{Counted, Facts};
use ::redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use ::redis::cluster::ClusterClient;
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use ::redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use ::redis::{Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, RedisError, RedisResult, cmd};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use tokio::sync::{Mutex, RwLock};

/// How long a command may take before the request that needs it fails.
const PATIENCE: Duration = Duration::from_secs(3);

/// `GET` with `XX` and `KEEPTTL` in one `SET` came with 6.2.
const LEAST_VERSION: (u32, u32) = (6, 2);

const REPLACE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) return 1 end return 0";
const COUNT: &str = "local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end return {n, redis.call('TTL', KEYS[1])}";
const UNCOUNT: &str = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('DECR', KEYS[1]) end return 0";

enum Link {
    Server(ConnectionManager),
    Cluster(ClusterConnection),
    Sentinel(Box<Sentinel>),
}

struct Sentinel {
    client: Mutex<SentinelClient>,
    connection: RwLock<MultiplexedConnection>,
}

pub(super) struct Redis {
    link: Link,
}

impl Redis {
    pub(super) async fn open(url: &SecretString) -> Result<Self, StoreError> {
        let url = url.expose_secret();
        let link = if let Some(rest) = url.strip_prefix("redis+sentinel://") {
            let mut client = sentinel_client(rest)?;
            let connection = client.get_async_connection().await?;
            Link::Sentinel(Box::new(Sentinel { client: Mutex::new(client), connection: RwLock::new(connection) }))
        } else if url.contains(',') {
            let nodes: Vec<&str> = url.split(',').map(str::trim).collect();
            let client =
                ClusterClient::builder(nodes).connection_timeout(PATIENCE).response_timeout(PATIENCE).build()?;
            Link::Cluster(client.get_async_connection().await?)
        } else {
            let settings = ConnectionManagerConfig::new()
                .set_connection_timeout(Some(PATIENCE))
                .set_response_timeout(Some(PATIENCE))
                .set_number_of_retries(1);
            Link::Server(ConnectionManager::new_with_config(Client::open(url)?, settings).await?)
        };
        let redis = Self { link };
        redis.check().await?;
        Ok(redis)
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
                return Err(StoreError::File(format!(
                    "Redis {}.{} is too old; 6.2 or newer is needed",
                    found.0, found.1
                )));
            }
        }
        let mut policy_command = cmd("CONFIG");
        policy_command.arg("GET").arg("maxmemory-policy");
        match self.ask_every_node(&policy_command).await {
            // One node of a cluster is enough.
            Ok(policies) if ["lru", "lfu", "random", "ttl"].iter().any(|evicting| policies.contains(evicting)) => {
                return Err(StoreError::File(
                    "Redis may evict live sign-ins and the tombstones of used codes when its memory is full.\n  Mend: set maxmemory-policy noeviction"
                        .into(),
                ));
            }
            Ok(policies) if policies.contains("noeviction") => {}
            _ => tracing::warn!("Redis does not tell its maxmemory-policy; make sure that it is noeviction"),
        }
        Ok(())
    }

    /// Version, policy and clock, each if the server tells.
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
        Facts {
            version,
            tells_policy: policies.contains("noeviction"),
            clock: time.map(|(seconds, _)| NumericDate(seconds)),
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

    /// The drivers' futures are large, and a request joins several: each is put aside.
    async fn run<T: FromRedisValue + Send>(&self, command: &Cmd) -> RedisResult<T> {
        Box::pin(self.send(command)).await
    }

    async fn send<T: FromRedisValue + Send>(&self, command: &Cmd) -> RedisResult<T> {
        match &self.link {
            Link::Server(manager) => command.query_async(&mut manager.clone()).await,
            Link::Cluster(cluster) => command.query_async(&mut cluster.clone()).await,
            Link::Sentinel(sentinel) => {
                let mut connection = sentinel.connection.read().await.clone();
                let result = match tokio::time::timeout(PATIENCE, command.query_async(&mut connection)).await {
                    Ok(result) => result,
                    Err(_) => Err(RedisError::from((ErrorKind::Io, "the command took too long"))),
                };
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

    pub(super) async fn put_if_absent(&self, key: &str, value: &str, ttl: i64) -> Result<bool, StoreError> {
        let stored: Option<String> = self.run(cmd("SET").arg(key).arg(value).arg("NX").arg("EX").arg(ttl)).await?;
        Ok(stored.is_some())
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.run(cmd("GET").arg(key)).await?)
    }

    pub(super) async fn take(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.run(cmd("SET").arg(key).arg("").arg("XX").arg("KEEPTTL").arg("GET")).await?)
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

    pub(super) async fn count(&self, key: &str, window: i64) -> Result<Counted, StoreError> {
        let (count, ends_in) = self.run(cmd("EVAL").arg(COUNT).arg(1).arg(key).arg(window)).await?;
        Ok(Counted { count, ends_in })
    }

    pub(super) async fn uncount(&self, key: &str) -> Result<(), StoreError> {
        let _: i64 = self.run(cmd("EVAL").arg(UNCOUNT).arg(1).arg(key)).await?;
        Ok(())
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.run(&cmd("PING")).await?)
    }
}

impl Sentinel {
    /// Asks the sentinels who is the master now; the next command goes there.
    async fn find_master(&self) {
        // Whoever finds the client taken leaves it to the one who has it.
        let Ok(mut client) = self.client.try_lock() else { return };
        match tokio::time::timeout(PATIENCE, client.get_async_connection()).await {
            Ok(Ok(connection)) => *self.connection.write().await = connection,
            Ok(Err(error)) => tracing::warn!(%error, "the sentinels know no master"),
            Err(_) => tracing::warn!("the sentinels do not answer"),
        }
    }
}

/// Reads `[user:password@]host:port[,host:port…]/service[/database]`.
fn sentinel_client(rest: &str) -> Result<SentinelClient, StoreError> {
    let fault = || {
        StoreError::File(
            "HALLPASS_REDIS_URL: expected redis+sentinel://[user:password@]host:port,…/service[/database]".into(),
        )
    };
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
    Ok(builder.build()?)
}
