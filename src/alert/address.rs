//! Mail servers and mail addresses as settings name them, and what is wrong with one that cannot be read.

use lettre::message::Mailbox;

/// How the conversation with a mail server is kept private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// `smtp://`: not at all.
    Plain,
    /// `smtp+starttls://`: it begins in the open, and is given up if it cannot become private.
    StartTls,
    /// `smtps://`: from the first byte.
    Tls,
}

/// A mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub security: Security,
    /// A name or an IP address, the latter without brackets.
    pub host: String,
    pub port: u16,
}

/// Each with the port where such servers listen.
const SCHEMES: [(&str, Security, u16); 3] =
    [("smtp://", Security::Plain, 25), ("smtp+starttls://", Security::StartTls, 587), ("smtps://", Security::Tls, 465)];

impl Server {
    /// Reads `smtp://host:port` and the like; the refusal is a sentence that names the place, and quotes nothing
    /// but single characters.
    pub fn parse(text: &str) -> Result<Server, String> {
        let Some((scheme, security, usual)) = SCHEMES.into_iter().find(|(scheme, ..)| text.starts_with(scheme)) else {
            return Err("At byte 1: it must begin with smtp://, smtp+starttls:// or smtps://.".to_owned());
        };
        let (start, rest) = (scheme.len(), &text[scheme.len()..]);
        if let Some(place) = rest.find('@') {
            return Err(format!(
                "At byte {}: user and password do not belong here but into the file that pgseal.mail_credentials_file names.",
                start + place + 1
            ));
        }
        let (host, after) = match rest.strip_prefix('[') {
            Some(address) => {
                let Some(end) = address.find(']') else {
                    return Err(format!("At byte {}: the bracket is not closed.", start + 1));
                };
                (&address[..end], start + end + 2)
            }
            None => {
                let end = rest.find(':').unwrap_or(rest.len());
                (&rest[..end], start + end)
            }
        };
        if rest.starts_with('[') {
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(format!("At byte {}: there is no IPv6 address in the brackets.", start + 2));
            }
        } else if host.is_empty() {
            return Err(format!("At byte {}: the name of the server is missing.", start + 1));
        } else if let Some(place) = host.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))) {
            let found = host[place..].chars().next().unwrap_or_default();
            return Err(format!(
                "At byte {}: {found:?} cannot be part of a server's name; after it only a colon and the port may follow.",
                start + place + 1
            ));
        }
        let port = match &text[after..] {
            "" => usual,
            port => match port.strip_prefix(':').filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit())) {
                Some(digits) => digits
                    .parse()
                    .ok()
                    .filter(|port| *port > 0)
                    .ok_or_else(|| format!("At byte {}: the port must be a number from 1 to 65535.", after + 2))?,
                None => return Err(format!("At byte {}: only a colon and the port may follow here.", after + 1)),
            },
        };
        Ok(Server { security, host: host.to_owned(), port })
    }
}

/// Reads addresses with commas between them: `db@example.org, "Roe, Jane" <jane@example.org>`. The
/// refusal names the place of the address that is wrong.
pub fn parse_list(text: &str) -> Result<Vec<Mailbox>, String> {
    if let Some(place) = text.find(char::is_control) {
        return Err(format!("At byte {}: there is a control character.", place + 1));
    }
    let mut found = Vec::new();
    for (number, (start, part)) in split(text).into_iter().enumerate() {
        let blank = part.len() - part.trim_start().len();
        let refuse = |reason: &str| format!("At byte {}, address {}: {reason}.", start + blank + 1, number + 1);
        let part = part.trim();
        if part.is_empty() {
            return Err(refuse("there is none"));
        }
        let mailbox: Mailbox = part.parse().map_err(|_| refuse("this is no mail address"))?;
        if !mailbox.email.to_string().is_ascii() {
            return Err(refuse("write the address in ASCII, the name of a domain as xn--…"));
        }
        found.push(mailbox);
    }
    Ok(found)
}

/// Reads exactly one address.
pub fn parse_one(text: &str) -> Result<Mailbox, String> {
    match <[Mailbox; 1]>::try_from(parse_list(text)?) {
        Ok([mailbox]) => Ok(mailbox),
        Err(several) => Err(format!("There are {} addresses, where one is wanted.", several.len())),
    }
}

/// The parts between commas that stand in no quotes, each with its place.
fn split(text: &str) -> Vec<(usize, &str)> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (place, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.push((start, &text[start..place]));
                start = place + 1;
            }
            _ => {}
        }
    }
    parts.push((start, &text[start..]));
    parts
}
