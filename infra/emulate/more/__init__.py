"""What ministack leaves out of the AWS that a release looks at, module by module; importing one adds it."""

from ministack.core.responses import get_region
from ministack.services import ec2


def instead_of(module, action=None):
    """Puts a function in the place of the one of its name, which it gets as its first parameter."""

    def put(function):
        original = getattr(module, function.__name__)

        def replacement(*parameters, **options):
            return function(original, *parameters, **options)

        setattr(module, function.__name__, replacement)
        if action is not None:
            module._ACTION_MAP[action] = replacement
        return replacement

    return put


def zone(subnet):
    return (ec2._subnets.get(subnet) or {}).get("AvailabilityZone", f"{get_region()}a")
