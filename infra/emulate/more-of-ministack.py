"""ministack, and what it leaves out of the AWS that a release looks at: see `more`. Everything else is ministack's.

Usage: `python more-of-ministack.py`, with the environment of `python -m ministack`, and the address of the registry that
has the layers of images as `IMAGE_REGISTRY`.
"""

import sys

sys.dont_write_bytecode = True

from ministack import app as application  # noqa: E402

from more import attributes, deployments, images, scaling, tasks  # noqa: E402, F401

if __name__ == "__main__":
    application.app = scaling.beside(application.app)
    application.main()
