"""From the end of a job to a signed message at a real receiver."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from service.addresses import parse_networks
from service.contract.webhooks import ALL_EVENTS
from service.store.deliveries import DeliveryStore
from service.store.session import Database
from service.store.tables import DeliveryRow
from service.store.webhooks import WebhookStore
from service.webhooks.courier import Courier
from service.webhooks.lookups import Lookups
from service.webhooks.sending import Sender
from service.webhooks.signing import new_secret, signed_headers
from service.webhooks.target import NotFound
from tests.waiting import wait_until
from tests.webhooks.receiver import Receiver, receiving

LOOPBACK = parse_networks("127.0.0.0/8")
SENDER = Sender(LOOPBACK, resolve=lambda host, port: ["127.0.0.1"])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def test_the_standards_own_package_verifies_a_signature() -> None:
    secret, body = new_secret(), '{"type":"job.failed","data":{"name":"größer"}}'
    headers = signed_headers("msg_1", int(time.time()), body.encode(), [secret])
    assert Webhook(secret).verify(body, headers)["type"] == "job.failed"
    for changed in (body.replace("failed", "passed"), body + " "):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(changed, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers)


def test_the_signature_of_a_known_message_is_the_standards() -> None:
    # the example of the specification's reference libraries
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_rotation_overlaps_either_secret_verifies() -> None:
    new, old = new_secret(), new_secret()
    headers = signed_headers("msg_1", int(time.time()), b"{}", [new, old])
    for secret in (new, old):
        assert Webhook(secret).verify("{}", headers) == {}


def add_test(database: Database, url: str, secret: str) -> None:
    """A webhook with a message that waits."""
    with database.transaction() as session:
        hook = WebhookStore(session).add(
            "p", name="hook", url=url, events=ALL_EVENTS, secret=secret
        )
        DeliveryStore(session).add_test(hook)


def delivery(database: Database) -> DeliveryRow:
    with database.read() as session:
        (hook,) = WebhookStore(session).list("p", 1)
        (row,) = DeliveryStore(session).list(hook.id, 1)
        return row


def test_two_couriers_deliver_a_message_once(database: Database, receiver: Receiver) -> None:
    secret = new_secret()
    add_test(database, f"http://hooks.test:{receiver.port}/hook", secret)
    couriers = [Courier(database, SENDER, "1.2.3") for _ in range(2)]
    for courier in couriers:
        courier.start()
    wait_until(lambda: delivery(database).status == "succeeded", 10, "the message")
    for courier in couriers:
        courier.close()
    (message,) = receiver.received
    told = Webhook(secret).verify(message.body, message.headers)
    assert told["type"] == "webhook.test"
    assert message.headers["webhook-id"] == delivery(database).id
    assert message.headers["user-agent"] == "Modelpress/1.2.3"
    assert message.headers["content-type"] == "application/json"


def test_what_went_wrong_is_written_down(database: Database, receiver: Receiver) -> None:
    receiver.status = 503
    add_test(database, f"http://hooks.test:{receiver.port}/", new_secret())
    assert Courier(database, SENDER, "1").deliver_one()
    row = delivery(database)
    assert (row.status, row.response_status, row.error) == ("failed", 503, "answered 503")
    assert not Courier(database, SENDER, "1").deliver_one()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for `hooks.test`, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "hooks.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(("host", "error"), [("hooks.test", None), ("other.test", "TLS: ")])
def test_tls_is_spoken_with_the_name_although_the_address_is_dialled(
    certificate: Path, host: str, error: str | None
) -> None:
    asked: list[str | None] = []
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate)
    served.sni_callback = lambda connection, name, context: asked.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))
    with receiving(served) as receiver:
        sender = Sender(LOOPBACK, resolve=lambda name, port: ["127.0.0.1"], tls=trusting)
        answer = sender.send(f"https://{host}:{receiver.port}/", {}, b"{}")
        assert asked == [host]
        assert answer.arrived is (error is None)
        assert (answer.error or "").startswith(error or "")
        assert [r.headers["host"] for r in receiver.received] == (
            [] if error else [f"{host}:{receiver.port}"]
        )


def test_an_unknown_certificate_is_refused(certificate: Path) -> None:
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate)
    with receiving(served) as receiver:
        answer = SENDER.send(f"https://hooks.test:{receiver.port}/", {}, b"{}")
        assert (answer.error or "").startswith("TLS: ")
        assert receiver.received == []


def talking(pieces: bytes, forever: bytes) -> tuple[int, threading.Thread, threading.Event]:
    """A server of one connection that says `pieces`, and then `forever` again and again."""
    server = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        with server:
            connection, _ = server.accept()
        with connection:
            connection.sendall(pieces)
            try:
                while not stop.wait(0.01):
                    connection.sendall(forever)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    return server.getsockname()[1], thread, stop


@pytest.mark.parametrize(
    ("pieces", "forever", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nx-slow: ", b"a", "no answer in time"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 65536, None),  # an endless body is not read on
        (b"\x00\x01 nothing like it\r\n\r\n", b"", "it hung up, or what it said is no HTTP"),
        (b"", b"", "no answer in time"),
    ],
)
def test_no_receiver_holds_a_thread_for_long(
    pieces: bytes, forever: bytes, error: str | None
) -> None:
    port, thread, stop = talking(pieces, forever)
    sender = Sender(LOOPBACK, send_s=0.5)
    began = time.monotonic()
    answer = sender.send(f"http://127.0.0.1:{port}/", {}, b"{}")
    assert time.monotonic() - began < 2.0
    stop.set()
    thread.join()
    assert answer.error == error


def test_nobody_there_is_an_answer_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    answer = SENDER.send(f"http://127.0.0.1:{port}/", {}, b"{}")
    assert answer.error == "no connection: Connection refused"
    nowhere = Sender(resolve=lambda host, port: [])
    assert nowhere.send("https://gone.test/", {}, b"{}").error == "gone.test has no address"


def test_a_name_server_that_hangs_ends_the_try_in_time() -> None:
    answers = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        answers.wait(10)
        return ["127.0.0.1"]

    sender = Sender(LOOPBACK, resolve=hang, send_s=0.1)
    began = time.monotonic()
    error = sender.send("http://slow.test/", {}, b"{}").error
    assert time.monotonic() - began < 5.0
    answers.set()
    assert error == "slow.test was not looked up in time"


def test_lookups_that_were_left_behind_are_bounded() -> None:
    answers = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        if host == "slow.test":
            answers.wait(10)
        return ["192.0.2.1"]

    lookups = Lookups(resolve, most=1)
    with pytest.raises(NotFound, match="in time"):
        lookups.ask("slow.test", 443, 0.01)
    with pytest.raises(NotFound, match="name servers are slow"):
        lookups.ask("quick.test", 443, 5.0)
    answers.set()
    wait_until(lambda: _found(lookups) == ["192.0.2.1"], 5, "a free place")


def _found(lookups: Lookups) -> Sequence[str]:
    try:
        return lookups.ask("quick.test", 443, 5.0)
    except NotFound:
        return []


def test_the_next_of_several_checked_addresses_is_tried(receiver: Receiver) -> None:
    sender = Sender(LOOPBACK, resolve=lambda host, port: ["127.0.0.9", "127.0.0.1"])
    assert sender.send(f"http://two.test:{receiver.port}/", {}, b"{}").arrived
