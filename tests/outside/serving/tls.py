"""What sslyze, which is not ours, finds at the TLS of a site.

    python3 tls.py HOST PORT NAME

NAME is the host name that the certificate at HOST is for. Fails with exit status 1 where anything that must hold does
not. The certificate's own chain is no matter here: a test's certifies itself.
"""

import sys

from sslyze import (
    ScanCommand,
    ScanCommandAttemptStatusEnum,
    Scanner,
    ServerNetworkLocation,
    ServerScanRequest,
    ServerScanStatusEnum,
)

OLD = (ScanCommand.SSL_2_0_CIPHER_SUITES, ScanCommand.SSL_3_0_CIPHER_SUITES)
OLD += (ScanCommand.TLS_1_0_CIPHER_SUITES, ScanCommand.TLS_1_1_CIPHER_SUITES)
NEW = (ScanCommand.TLS_1_2_CIPHER_SUITES, ScanCommand.TLS_1_3_CIPHER_SUITES)
OTHERS = (
    ScanCommand.ELLIPTIC_CURVES,
    ScanCommand.SESSION_RENEGOTIATION,
    ScanCommand.SESSION_RESUMPTION,
    ScanCommand.TLS_COMPRESSION,
    ScanCommand.TLS_1_3_EARLY_DATA,
    ScanCommand.TLS_FALLBACK_SCSV,
    ScanCommand.TLS_EXTENDED_MASTER_SECRET,
    ScanCommand.HEARTBLEED,
    ScanCommand.OPENSSL_CCS_INJECTION,
    ScanCommand.ROBOT,
)


def scan(host, port, name):
    """What was found, by command."""
    scanner = Scanner()
    location = ServerNetworkLocation(hostname=name, port=port, ip_address=host)
    scanner.queue_scans([ServerScanRequest(server_location=location, scan_commands={*OLD, *NEW, *OTHERS})])
    (result,) = scanner.get_results()
    if result.scan_status is not ServerScanStatusEnum.COMPLETED:
        sys.exit(f"the server cannot be reached: {result.connectivity_error_trace}")
    found = {}
    for command in (*OLD, *NEW, *OTHERS):
        attempt = getattr(result.scan_result, command.value)
        if attempt.status is not ScanCommandAttemptStatusEnum.COMPLETED:
            sys.exit(f"{command.value}: not found out: {attempt.error_reason}: {attempt.error_trace}")
        found[command] = attempt.result
    return found


def judged(found):
    """What was looked at, what was found, and whether it may be so."""
    for command in OLD:
        accepted = found[command].accepted_cipher_suites
        yield command.value, [suite.cipher_suite.name for suite in accepted] or "refused", not accepted
    for command in NEW:
        names = [suite.cipher_suite.name for suite in found[command].accepted_cipher_suites]
        strong = all("GCM" in name or "CHACHA20" in name for name in names)
        forward = command is NEW[1] or all("ECDHE" in name for name in names)
        yield command.value, names, bool(names) and strong and forward
    curves = [curve.name for curve in found[ScanCommand.ELLIPTIC_CURVES].supported_curves]
    yield "groups", curves, set(curves) <= {"X25519", "secp256r1", "secp384r1"}
    again = found[ScanCommand.SESSION_RENEGOTIATION]
    yield "renegotiation that a client begins", again.is_vulnerable_to_client_renegotiation_dos, not (
        again.is_vulnerable_to_client_renegotiation_dos
    )
    yield "secure renegotiation announced", again.supports_secure_renegotiation, again.supports_secure_renegotiation
    for command, field, may in (
        (ScanCommand.TLS_COMPRESSION, "supports_compression", (False,)),
        (ScanCommand.TLS_1_3_EARLY_DATA, "supports_early_data", (False,)),
        (ScanCommand.TLS_EXTENDED_MASTER_SECRET, "supports_ems_extension", (True,)),
        (ScanCommand.HEARTBLEED, "is_vulnerable_to_heartbleed", (False,)),
        (ScanCommand.OPENSSL_CCS_INJECTION, "is_vulnerable_to_ccs_injection", (False,)),
        # There is nothing below TLS 1.2 to fall back to.
        (ScanCommand.TLS_FALLBACK_SCSV, "supports_fallback_scsv", (True, False)),
    ):
        value = getattr(found[command], field)
        yield field, value, value in may
    robot = found[ScanCommand.ROBOT].robot_result.value
    yield "ROBOT", robot, robot.startswith("NOT_VULNERABLE")
    resumption = found[ScanCommand.SESSION_RESUMPTION]
    yield "resumption by ticket", resumption.tls_ticket_resumption_result.value, True
    yield "resumption by number", resumption.session_id_resumption_result.value, True


def main():
    host, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    wrong = []
    for what, value, may in judged(scan(host, port, name)):
        print(f"{what}: {value}")
        if not may:
            wrong.append(f"{what}: {value}")
    if wrong:
        sys.exit("\n".join(["NOT in order:"] + wrong))
    print("in order")


if __name__ == "__main__":
    main()
