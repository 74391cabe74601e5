"""Makes a symmetric key in a KMIP server. Run by Debian's Python, which has Debian's PyKMIP.

Arguments: FOLDER-OF-CERTIFICATES PORT CLIENT NAME
"""

import sys

from kmip.core.enums import CryptographicAlgorithm
from kmip.pie.client import ProxyKmipClient

folder, port, client, name = sys.argv[1:]
with ProxyKmipClient(
    hostname="127.0.0.1", port=int(port), ca=f"{folder}/authority.pem", cert=f"{folder}/{client}.pem",
    key=f"{folder}/{client}.key", ssl_version="PROTOCOL_TLSv1_2", config_file="/dev/null",
) as server:  # fmt: skip
    server.create(CryptographicAlgorithm.AES, 256, name=name)
