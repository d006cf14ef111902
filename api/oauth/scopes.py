"""What a client may ask for, in the words its customer reads on the consent page."""

SCOPES = {
    "openid": "Confirm who you are",
    "profile": "See your name",
    "email": "See your e-mail address",
    "offline_access": "Stay connected while you are away",
    "cart": "See and change your cart",
    "orders": "See, place and cancel your orders",
}
# Never given unasked: the first makes a request one of OpenID Connect, the second outlives the visit.
ONLY_WHEN_ASKED = {"openid", "offline_access"}


def described(scope: str) -> list[str]:
    """The sentences for a scope, in the table's order."""
    asked = scope.split()
    return [sentence for name, sentence in SCOPES.items() if name in asked]
