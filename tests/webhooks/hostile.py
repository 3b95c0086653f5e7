"""URLs that would have the service knock on doors of its own house.

`{port}` is where a server listens. A name resolves to what `NAMES` says.
"""

from typing import Final

SPELLINGS: Final = (
    # loopback, however written
    "http://127.0.0.1:{port}/", "https://127.0.0.1:{port}/", "https://127.0.0.1:{port}?x=/",
    "https://127.1:{port}/", "https://127.0.1:{port}/", "https://2130706433:{port}/",
    "https://0x7f000001:{port}/", "https://0X7F.0.0.1:{port}/", "https://0x7f.1:{port}/",
    "https://0177.0.0.1:{port}/", "https://017700000001:{port}/", "https://127.0.0.01:{port}/",
    "https://127.0.0.1.:{port}/", "https://127.000.000.001:{port}/", "https://0:{port}/",
    "https://0.0.0.0:{port}/", "https://127.0.0.1%2f:{port}/", "https://127.0.0.1%00:{port}/",
    "https://[::1]:{port}/", "https://[0:0:0:0:0:0:0:1]:{port}/", "https://[::]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/", "https://[::ffff:7f00:1]:{port}/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]:{port}/", "https://[::127.0.0.1]:{port}/",
    "https://[64:ff9b::127.0.0.1]:{port}/", "https://[64:ff9b:1::7f00:1]:{port}/",
    "https://[2002:7f00:1::]:{port}/", "https://[2001:0:7f00:1::1]:{port}/",
    "https://[::1%25lo]:{port}/", "https://[fe80::1%25eth0]:{port}/", "https://[::1:{port}/",
    # other alphabets that fold to it
    "https://１２７.０.０.１:{port}/", "https://127。0。0。1:{port}/", "https://①②⑦.⓪.⓪.①:{port}/",
    "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/", "https://locaſlhost:{port}/", "https://loo\u212aback.test:{port}/",
    # parsers that disagree on where the host is
    "https://hooks.example.com@127.0.0.1:{port}/", "https://user:pass@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}@hooks.example.com/", "https://127.0.0.1:{port}#@hooks.example.com/",
    "https://127.0.0.1:{port}\\@hooks.example.com/", "https://hooks.example.com\\@127.0.0.1:{port}/",
    "https://hooks.example.com:443@127.0.0.1:{port}/", "https:127.0.0.1:{port}/",
    "https:///127.0.0.1:{port}/", "https:\\\\127.0.0.1:{port}\\", "//127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\r\nhost: hooks.example.com/", "https://127.0.0.1:{port}/\n",
    " https://127.0.0.1:{port}/", "https://127.0.0.1\t:{port}/", "https://[127.0.0.1]:{port}/",
    # other schemes
    "gopher://127.0.0.1:{port}/_POST", "file:///etc/passwd", "ftp://127.0.0.1:{port}/",
    "unix:///run/docker.sock", "javascript:fetch('http://127.0.0.1:{port}')", "http+unix://%2frun",
    # private, shared, reserved, link-local, and where clouds keep credentials
    "https://10.0.0.1:{port}/", "https://172.16.0.1:{port}/", "https://172.31.255.254:{port}/",
    "https://192.168.1.1:{port}/", "https://100.64.0.1:{port}/", "https://192.0.0.8:{port}/",
    "https://198.18.0.1:{port}/", "https://224.0.0.1:{port}/", "https://240.0.0.1:{port}/",
    "https://255.255.255.255:{port}/", "https://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/", "https://[::ffff:169.254.169.254]/",
    "https://[fd00:ec2::254]/latest/meta-data/", "https://[fd20:ce::254]/", "https://2852039166/",
    "https://100.100.100.200/latest/meta-data/", "https://168.63.129.16/", "https://192.0.0.192/",
    "https://[fc00::1]:{port}/", "https://[fe80::1]:{port}/", "https://[ff02::1]:{port}/",
    "https://[2001:db8::1]:{port}/", "https://[100::1]:{port}/", "https://[3fff::1]:{port}/",
    # ports of other services
    "https://203.0.113.5:22/", "https://hooks.example.com:25/", "https://hooks.example.com:0/",
    "https://hooks.example.com:65536/", "https://hooks.example.com:-1/",
    "https://hooks.example.com:80443/", "https://hooks.example.com:٤٤٣/",
)  # fmt: skip

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "localhost": ("::1", "127.0.0.1"),
    "loopback.test": ("127.0.0.1",),
    "far-loopback.test": ("127.8.8.8",),
    "six.test": ("::1",),
    "mapped.test": ("::ffff:127.0.0.1",),
    "nat64.test": ("64:ff9b::7f00:1",),
    "compatible.test": ("::7f00:1",),
    "sixtofour.test": ("2002:7f00:1::1",),
    "teredo.test": ("2001:0:7f00:1::",),
    "nobody.test": ("0.0.0.0",),
    "private.test": ("10.1.2.3",),
    "zone.test": ("fe80::1%eth0",),
    "metadata.test": ("169.254.169.254",),
    "metadata.google.internal": ("169.254.169.254",),
    "metadata6.test": ("fd00:ec2::254",),
    # one good address among them lets nobody in
    "mixed.test": ("93.184.216.34", "127.0.0.1"),
    "mixed6.test": ("2606:2800:220:1::1", "::1"),
    "127.0.0.1.nip.test": ("127.0.0.1",),
    "xn--n3h.test": ("127.0.0.1",),
}


def urls(port: int) -> list[str]:
    """Every hostile URL, for a server that listens on `port`."""
    by_name = [f"https://{name}:{{port}}/hook" for name in NAMES]
    return [url.replace("{port}", str(port)) for url in (*SPELLINGS, *by_name)]
