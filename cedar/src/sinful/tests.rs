//! Addresses as real daemons have them, and as they shouldn't be.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Sinful {
    text.parse().unwrap()
}

#[test]
fn real_addresses_are_printed_as_they_were() {
    for text in [
        "<127.0.0.1:9618>",
        "<127.0.0.1:0>",
        "<[fd00::2]:12137>",
        "<127.0.0.1:9618?addrs=127.0.0.1-9618+[fd00--2]-9618&alias=localhost&noUDP&sock=startd_30302_3ae5>",
        "<10.1.1.1:9618?CCBID=10.2.2.2:9618%3faddrs%3d10.2.2.2-9618#17&PrivNet=site&sock=x>",
        "<host.example.org>",
        "<>",
    ] {
        assert_eq!(parse(text).to_string(), text);
    }
}

#[test]
fn parameters_are_decoded_and_sorted() {
    let sinful = parse("1.2.3.4:5?sock=a;Z=1&noUDP&alias=x%20y&sock=b");
    assert_eq!(sinful.shared_port_id(), Some("b"), "the last one counts");
    assert_eq!(sinful.param("alias"), Some("x y"));
    assert_eq!(sinful.param("noUDP"), Some(""));
    assert_eq!(sinful.to_string(), "<1.2.3.4:5?Z=1&alias=x%20y&noUDP&sock=b>");
}

#[test]
fn addresses_are_tried_in_the_order_of_htcondor() {
    let sinful = parse(
        "<9.9.9.9:1?addrs=127.0.0.1-1+10.0.0.1-2+[fe80--1]-3+169.254.0.1-4+[2001-db8--1]-5+8.8.8.8-6>",
    );
    let ports: Vec<u16> = sinful.addresses().iter().map(SocketAddr::port).collect();
    assert_eq!(ports, [5, 6, 2, 4, 1, 3]);
    assert_eq!(parse("<1.2.3.4:5>").addresses(), ["1.2.3.4:5".parse().unwrap()]);
    assert_eq!(parse("<host:5>").addresses(), []);
}

#[test]
fn published_addresses() {
    let addresses = ["1.2.3.4:5".parse().unwrap(), "[fd00::2]:5".parse().unwrap()];
    let sinful = Sinful::published(&addresses, Some("h.example")).unwrap();
    let text = "<1.2.3.4:5?addrs=1.2.3.4-5+[fd00--2]-5&alias=h.example&noUDP>";
    assert_eq!(sinful.to_string(), text);
    assert_eq!(Sinful::published(&[], None), None);
}

#[test]
fn the_private_address_goes_through_the_shared_port_too() {
    let mut sinful = parse("<1.2.3.4:5?PrivAddr=%3c10.0.0.1:5%3fsock%3dold%3e&sock=old>");
    sinful.set_shared_port_id("new");
    assert_eq!(sinful.param("PrivAddr"), Some("<10.0.0.1:5?sock=new>"));
    assert_eq!(sinful.shared_port_id(), Some("new"));
}

#[test]
fn malformed_ones_are_refused() {
    for text in [
        "<1.2.3.4:5",
        "<[fd00::2:5>",
        "<1.2.3.4:99999>",
        "<1.2.3.4:x>",
        "<a b:5>",
        "<a:5?=x>",
        "<a:5?k=%4>",
        "<a:5?k=%zz>",
        "<a:5?k=%ff>",
        "<a:5>>",
        "<[::1]x>",
        "<a:5?k=é%4é>",
    ] {
        assert!(text.parse::<Sinful>().is_err(), "{text}");
    }
    assert!(matches!("a".repeat(MAX_SINFUL + 1).parse::<Sinful>(), Err(Error::TooLarge { .. })));
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(
        host in "[a-z0-9.-]{0,20}", port: Option<u16>,
        params in proptest::collection::btree_map("[A-Za-z]{1,8}", "\\PC{0,12}", 0..5),
    ) {
        let sinful = Sinful { host, port, params };
        prop_assert_eq!(sinful.to_string().parse::<Sinful>(), Ok(sinful));
    }

    #[test]
    fn any_text_does_no_harm(text in "\\PC{0,60}") {
        if let Ok(sinful) = text.parse::<Sinful>() {
            let _ = sinful.addresses();
            prop_assert_eq!(sinful.to_string().parse::<Sinful>(), Ok(sinful));
        }
    }
}
