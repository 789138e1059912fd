//! Where a target is, by RFC 3263: NAPTR, SRV, A and AAAA, as far as its endpoint leaves it open.
//!
//! Answers are kept as long as they say, so that a target asked every second costs its name servers little.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};
use hickory_resolver::proto::rr::{RData, RecordType};

use crate::chance;
use crate::endpoint::{Endpoint, Host, Scheme, default_port};
use crate::exchange::Carrier;

/// Where to send, and over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Transport.
    pub carrier: Carrier,
    /// Address and port.
    pub address: SocketAddr,
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// The name has no address, or none of the family that is bound.
    #[error("{0} has no address")]
    Nowhere(String),
    /// It says that the service is not there (RFC 2782: a target of `.`).
    #[error("{0} says that it has no such service")]
    Refused(String),
    /// Nobody could tell in time.
    #[error("{0} cannot be looked up: no answer in time")]
    Late(String),
    /// Nobody could tell.
    #[error("{name} cannot be looked up: {error}")]
    Failed {
        /// What was looked up.
        name: String,
        /// What the resolver says.
        error: NetError,
    },
}

/// A resolver.
pub struct Dns {
    resolver: TokioResolver,
}

impl Dns {
    /// Asks these name servers, or those of the system where there are none.
    pub fn new(nameservers: &[SocketAddr]) -> Result<Self, NetError> {
        let mut builder = if nameservers.is_empty() {
            TokioResolver::builder_tokio()?
        } else {
            let server = |address: &SocketAddr| {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
                let connections = connections.map(|mut connection| {
                    connection.port = address.port();
                    connection
                });
                NameServerConfig::new(address.ip(), true, connections.into())
            };
            let servers = nameservers.iter().map(server).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(Self { resolver: builder.build()? })
    }

    /// Where `endpoint` is, in the order of preference; weights have been drawn. At least one place. `from` says which
    /// family the own address is of.
    pub async fn places(&self, endpoint: &Endpoint, from: Option<IpAddr>) -> Result<Vec<Place>, DnsError> {
        let port = |carrier| endpoint.port.unwrap_or(default_port(carrier));
        let name = match &endpoint.host {
            Host::Address(address) => {
                let carrier = endpoint.carrier();
                return Ok(vec![Place { carrier, address: SocketAddr::new(*address, port(carrier)) }]);
            }
            Host::Name(name) => name,
        };
        // A port that is given, or a name without a dot (a host of this network), leaves nothing to ask for.
        let servers = match endpoint.port {
            None if name.contains('.') => self.servers(endpoint.scheme, name).await?,
            _ => None,
        };
        let servers = servers.unwrap_or_else(|| {
            let carrier = endpoint.carrier();
            vec![(carrier, name.clone(), port(carrier))]
        });
        let mut places = Vec::new();
        let mut failed = None;
        for (carrier, host, port) in servers {
            match self.addresses(&host).await {
                Ok(addresses) => {
                    let fits = |address: &IpAddr| from.is_none_or(|from| from.is_ipv4() == address.is_ipv4());
                    let found = addresses.into_iter().filter(fits);
                    places.extend(found.map(|address| Place { carrier, address: SocketAddr::new(address, port) }));
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match (places.is_empty(), failed) {
            (false, _) => Ok(places),
            (true, Some(error)) => Err(error),
            (true, None) => Err(DnsError::Nowhere(name.clone())),
        }
    }

    /// What NAPTR and SRV say, in order: transport, host, port. `None` where they say nothing (§4.1, §4.2).
    async fn servers(&self, scheme: Scheme, name: &str) -> Result<Option<Vec<(Carrier, String, u16)>>, DnsError> {
        let candidates: Vec<(Carrier, String)> = match scheme {
            Scheme::Over(carrier) => vec![service(carrier, name)],
            Scheme::Sips => match self.pointers(name, &[Carrier::Tls]).await? {
                found if found.is_empty() => vec![service(Carrier::Tls, name)],
                found => found,
            },
            Scheme::Sip => {
                const ALL: [Carrier; 3] = [Carrier::Udp, Carrier::Tcp, Carrier::Tls];
                match self.pointers(name, &ALL).await? {
                    found if found.is_empty() => ALL.map(|carrier| service(carrier, name)).into(),
                    found => found,
                }
            }
        };
        for (carrier, service) in candidates {
            let records = self.records(&service, RecordType::SRV).await?;
            let servers = records.into_iter().filter_map(|record| match record {
                RData::SRV(SRV { priority, weight, port, target, .. }) => {
                    Some(Server { priority, weight, port, target: target.to_ascii() })
                }
                _ => None,
            });
            let servers: Vec<Server> = servers.collect();
            if matches!(&servers[..], [Server { target, .. }] if target == ".") {
                return Err(DnsError::Refused(service));
            }
            if !servers.is_empty() {
                let drawn = in_order(servers, chance::below);
                return Ok(Some(drawn.into_iter().map(|server| (carrier, server.target, server.port)).collect()));
            }
        }
        Ok(None)
    }

    /// NAPTR: names of SRV records with the transport of each, in order.
    async fn pointers(&self, name: &str, carriers: &[Carrier]) -> Result<Vec<(Carrier, String)>, DnsError> {
        let records = self.records(&absolute(name), RecordType::NAPTR).await?;
        let found = records.into_iter().filter_map(|record| match record {
            RData::NAPTR(NAPTR { order, preference, flags, services, replacement, .. }) => {
                let carrier = match services.to_ascii_uppercase().as_slice() {
                    b"SIP+D2U" => Carrier::Udp,
                    b"SIP+D2T" => Carrier::Tcp,
                    b"SIPS+D2T" => Carrier::Tls,
                    _ => return None,
                };
                let fits = flags.eq_ignore_ascii_case(b"s") && carriers.contains(&carrier);
                fits.then(|| ((order, preference), carrier, replacement.to_ascii()))
            }
            _ => None,
        });
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|(order, ..)| *order);
        Ok(found.into_iter().map(|(_, carrier, name)| (carrier, name)).collect())
    }

    /// Addresses of a host, IPv4 first.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        match self.resolver.lookup_ip(host).await {
            Ok(found) => {
                let mut addresses: Vec<IpAddr> = found.iter().collect();
                addresses.sort_by_key(IpAddr::is_ipv6);
                Ok(addresses)
            }
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(DnsError::Failed { name: host.to_owned(), error }),
        }
    }

    /// Records of a name; none where there are none.
    async fn records(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, DnsError> {
        match self.resolver.lookup(name, kind).await {
            Ok(found) => Ok(found.answers().iter().map(|record| record.data.clone()).collect()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(DnsError::Failed { name: name.to_owned(), error }),
        }
    }
}

/// What an SRV record says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Server {
    priority: u16,
    weight: u16,
    port: u16,
    target: String,
}

/// Servers in the order in which they are to be used (RFC 2782): by priority, and within one drawn by weight. `chance`
/// gives a number below a bound.
fn in_order(mut servers: Vec<Server>, mut chance: impl FnMut(u64) -> u64) -> Vec<Server> {
    // Those without weight first: then they have some small chance too.
    servers.sort_by_key(|server| (server.priority, server.weight));
    let mut ordered = Vec::with_capacity(servers.len());
    while let Some(first) = servers.first() {
        let equals = servers.iter().take_while(|server| server.priority == first.priority).count();
        let sum: u64 = servers[..equals].iter().map(|server| u64::from(server.weight)).sum();
        let drawn = chance(sum + 1);
        let mut running = 0;
        let chosen = servers[..equals].iter().position(|server| {
            running += u64::from(server.weight);
            running >= drawn
        });
        ordered.push(servers.remove(chosen.expect("the sum of all is not below what was drawn")));
    }
    ordered
}

/// The SRV name of a transport (§4.2), with the transport.
fn service(carrier: Carrier, name: &str) -> (Carrier, String) {
    let name = absolute(name);
    let service = match carrier {
        Carrier::Udp => format!("_sip._udp.{name}"),
        Carrier::Tcp => format!("_sip._tcp.{name}"),
        Carrier::Tls => format!("_sips._tcp.{name}"),
    };
    (carrier, service)
}

/// With the dot at its end, so that no search list is tried.
fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
    use hickory_resolver::proto::rr::{Name, Record};

    use super::*;

    fn server(priority: u16, weight: u16, target: &str) -> Server {
        Server { priority, weight, port: 5060, target: target.to_owned() }
    }

    #[test]
    fn servers_come_by_priority_and_are_drawn_by_weight() {
        let all = [server(20, 0, "last"), server(10, 1, "a"), server(10, 3, "b"), server(10, 0, "zero")];
        let names = |drawn: &mut dyn FnMut(u64) -> u64| {
            in_order(all.to_vec(), drawn).into_iter().map(|server| server.target).collect::<Vec<_>>()
        };
        assert_eq!(names(&mut |_| 0), ["zero", "a", "b", "last"]);
        assert_eq!(names(&mut |bound| bound - 1), ["b", "a", "zero", "last"]);
        let mut firsts = [0; 2];
        for _ in 0..4000 {
            match names(&mut chance::below)[0].as_str() {
                "a" => firsts[0] += 1,
                "b" => firsts[1] += 1,
                _ => {}
            }
        }
        assert!(firsts[1] > 2 * firsts[0] && firsts[0] > 500, "{firsts:?}");
    }

    /// A name server on loopback that knows these records, and how often it was asked.
    async fn name_server(zone: Vec<(&'static str, RData)>) -> (SocketAddr, Arc<AtomicUsize>) {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("loopback has ports");
        let address = socket.local_addr().expect("it is bound");
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            loop {
                let Ok((len, from)) = socket.recv_from(&mut buffer).await else { return };
                counted.fetch_add(1, Ordering::SeqCst);
                let query = Message::from_vec(&buffer[..len]).expect("a resolver asks well");
                let mut reply = Message::response(query.metadata.id, OpCode::Query);
                let question = query.queries[0].clone();
                let name = question.name().to_ascii().to_lowercase();
                let fits =
                    |(named, data): &&(&str, RData)| *named == name && data.record_type() == question.query_type();
                let answers: Vec<Record> = zone
                    .iter()
                    .filter(fits)
                    .map(|(_, data)| Record::from_rdata(question.name().clone(), 60, data.clone()))
                    .collect();
                if answers.is_empty() && !zone.iter().any(|(named, _)| *named == name) {
                    reply.metadata.response_code = ResponseCode::NXDomain;
                }
                reply.add_query(question);
                reply.add_answers(answers);
                socket.send_to(&reply.to_vec().expect("it can be written"), from).await.expect("loopback takes it");
            }
        });
        (address, asked)
    }

    fn name(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    fn srv(priority: u16, port: u16, target: &str) -> RData {
        RData::SRV(SRV::new(priority, 1, port, name(target)))
    }

    fn naptr(order: u16, service: &str, replacement: &str) -> RData {
        let (flags, services) = (b"s".to_vec().into(), service.as_bytes().to_vec().into());
        RData::NAPTR(NAPTR::new(order, 1, flags, services, Box::default(), name(replacement)))
    }

    fn zone() -> Vec<(&'static str, RData)> {
        let a = |last: u8| RData::A(std::net::Ipv4Addr::new(192, 0, 2, last).into());
        vec![
            ("all.test.", naptr(20, "SIP+D2U", "_sip._udp.all.test.")),
            ("all.test.", naptr(10, "SIPS+D2T", "_sips._tcp.all.test.")),
            ("all.test.", naptr(5, "SIP+D2W", "_sip._ws.all.test.")),
            ("_sips._tcp.all.test.", srv(2, 5071, "b.test.")),
            ("_sips._tcp.all.test.", srv(1, 5070, "a.test.")),
            ("_sip._udp.all.test.", srv(1, 5080, "b.test.")),
            ("_sip._tcp.srv.test.", srv(1, 5090, "a.test.")),
            ("_sip._udp.none.test.", srv(0, 0, ".")),
            ("a.test.", a(1)),
            ("a.test.", RData::AAAA("2001:db8::1".parse().expect("an address"))),
            ("b.test.", a(2)),
            ("b.test.", a(3)),
        ]
    }

    #[tokio::test]
    async fn a_target_is_where_rfc_3263_says() {
        let (server, asked) = name_server(zone()).await;
        let dns = Dns::new(&[server]).expect("a resolver");
        for (endpoint, expected) in [
            ("udp://192.0.2.9", "udp 192.0.2.9:5060"),
            ("tls://[2001:db8::9]", "tls [2001:db8::9]:5061"),
            ("sip://a.test:5070", "udp 192.0.2.1:5070, udp [2001:db8::1]:5070"),
            ("tcp://a.test", "tcp 192.0.2.1:5060, tcp [2001:db8::1]:5060"),
            // NAPTR: TLS comes first; SRV by priority; each with all its addresses.
            ("sip://all.test", "tls 192.0.2.1:5070, tls [2001:db8::1]:5070, tls 192.0.2.2:5071, tls 192.0.2.3:5071"),
            ("sips://all.test", "tls 192.0.2.1:5070, tls [2001:db8::1]:5070, tls 192.0.2.2:5071, tls 192.0.2.3:5071"),
            // A transport that is given needs no NAPTR.
            ("udp://all.test", "udp 192.0.2.2:5080, udp 192.0.2.3:5080"),
            // No NAPTR: the first transport with an SRV record.
            ("sip://srv.test", "tcp 192.0.2.1:5090, tcp [2001:db8::1]:5090"),
            ("sip://b.test", "udp 192.0.2.2:5060, udp 192.0.2.3:5060"),
            ("sips://b.test", "tls 192.0.2.2:5061, tls 192.0.2.3:5061"),
        ] {
            let places = dns.places(&Endpoint::parse(endpoint).expect("it is one"), None).await;
            let places = places.unwrap_or_else(|error| panic!("{endpoint}: {error}"));
            let text = |place: &Place| format!("{} {}", place.carrier.as_str(), place.address);
            assert_eq!(places.iter().map(text).collect::<Vec<_>>().join(", "), expected, "{endpoint}");
        }
        // What was told is kept; of two families that of the own address counts.
        let before = asked.load(Ordering::SeqCst);
        let endpoint = Endpoint::parse("tcp://srv.test").expect("it is one");
        let six = dns.places(&endpoint, Some("::1".parse().expect("an address"))).await.expect("it is there");
        assert_eq!(six, [Place { carrier: Carrier::Tcp, address: "[2001:db8::1]:5090".parse().expect("one") }]);
        assert_eq!(asked.load(Ordering::SeqCst), before);
    }

    #[tokio::test]
    async fn a_name_that_leads_nowhere_says_why() {
        let (server, _) = name_server(zone()).await;
        let dns = Dns::new(&[server]).expect("a resolver");
        for (endpoint, why) in [
            ("udp://unknown.test", "unknown.test has no address"),
            ("udp://none.test", "_sip._udp.none.test. says that it has no such service"),
        ] {
            let error = dns.places(&Endpoint::parse(endpoint).expect("it is one"), None).await.expect_err(endpoint);
            assert_eq!(error.to_string(), why);
        }
    }
}
