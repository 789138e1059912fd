//! Networks as people write them: `10.1.0.0/16`, `2001:db8::/32`.

use std::net::IpAddr;

pub use ipnet::IpNet;

/// The network, or what is wrong with it and the help.
pub fn parse(text: &str) -> Result<IpNet, (String, String)> {
    let Ok(net) = text.parse::<IpNet>() else {
        let help = match text.parse::<IpAddr>() {
            Ok(address) => format!("write {:?} for this one address", IpNet::from(address).to_string()),
            Err(_) => "write address/length, such as \"10.1.0.0/16\" or \"2001:db8::/32\"".to_owned(),
        };
        return Err((format!("{text:?} is no network"), help));
    };
    let network = net.trunc();
    if net != network {
        let host = IpNet::from(net.addr());
        let help = format!("write \"{network}\" for the network or \"{host}\" for the one address");
        return Err((format!("{text:?} has bits set behind its prefix"), help));
    }
    Ok(net)
}
