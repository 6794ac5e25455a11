"""The real `aws` command line, loaded once and forked for each call: `aws-cli.py serve SOCKET`, or anything else to call.

A release asks a hundred questions, and loading the program takes longer than an emulator takes to answer. Arguments,
their checks and the output are those of the program itself.
"""

import json
import os
import signal
import socket
import sys
import traceback

VARIABLE = "AWS_CLI_SOCKET"


def call(arguments):
    """Hands arguments, environment and output over to the server, and ends as it says."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ[VARIABLE])
        request = json.dumps([arguments, dict(os.environ)]).encode()
        socket.send_fds(connection, [len(request).to_bytes(4, "big")], [1, 2])
        connection.sendall(request)
        ended = connection.recv(1)
        return ended[0] if ended else 255


def read(connection, length):
    """Exactly so many bytes."""
    content = b""
    while len(content) < length:
        content += connection.recv(length - len(content))
    return content


def answer(connection):
    """One call, in a process of its own."""
    from awscli.clidriver import create_clidriver

    length, outputs, _, _ = socket.recv_fds(connection, 4, 2)
    arguments, environment = json.loads(read(connection, int.from_bytes(length, "big")))
    # Where the program finds its own data is said in the environment, by the program.
    environment["AWS_DATA_PATH"] = os.environ["AWS_DATA_PATH"]
    os.environ.clear()
    os.environ.update(environment)
    for target, output in enumerate(outputs, start=1):
        os.dup2(output, target)
    try:
        code = create_clidriver().main(arguments)
    except SystemExit as ended:
        code = ended.code
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send(bytes([code & 255]))


def serve(path):
    """Until it is stopped."""
    from awscli.clidriver import create_clidriver

    # A call that nobody answers loads all that calls are made of.
    os.environ.update(AWS_MAX_ATTEMPTS="1", AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none")
    create_clidriver().main(["sts", "get-caller-identity", "--region", "us-east-1", "--endpoint-url", "http://127.0.0.1:9"])
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    # Nobody waits for what was forked.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            try:
                answer(connection)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        connection.close()


if sys.argv[1:2] == ["serve"]:
    serve(sys.argv[2])
else:
    sys.exit(call(sys.argv[1:]))
