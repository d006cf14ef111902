"""The part of a process that knows accounts and who may act for them."""

from dataclasses import dataclass

from temporalio.client import Client

from adapters.carts.store import CartStore
from adapters.connections import Connections
from adapters.login_throttle import RecentLogins
from adapters.mysql.identity.account_mails import WaitingMails
from adapters.mysql.identity.addresses import AddressBook
from adapters.mysql.identity.api_keys import ApiKeys
from adapters.mysql.identity.email_tokens import EmailTokens
from adapters.mysql.identity.external_identities import ExternalIdentities
from adapters.mysql.identity.grants import Grants
from adapters.mysql.identity.login_failures import LoginFailures
from adapters.mysql.identity.oauth_clients import OAuthClients
from adapters.mysql.identity.security_events import SecurityEvents
from adapters.mysql.identity.users import Accounts
from adapters.redis_pipeline import RedisPipeline
from adapters.token_versions import TokenVersions
from api.account_changes import AccountChanges
from api.authentication import Authenticator
from api.login_throttle import LoginThrottle
from api.oauth.browser import Browser
from api.oauth.consent import Authorization
from api.oauth.external import ExternalSignIn
from api.oauth.server import AuthorizationServer, build_authorization_server
from api.passwords import Passwords
from api.sessions import Sessions
from api.tokens import AccessTokens
from temporal_clients.account_mails import AccountMails


@dataclass(frozen=True)
class IdentityServices:
    """Accounts, and who may act for them."""

    accounts: Accounts
    addresses: AddressBook
    changes: AccountChanges
    mails: AccountMails
    tokens: AccessTokens
    passwords: Passwords
    sessions: Sessions
    api_keys: ApiKeys
    authenticator: Authenticator
    security: SecurityEvents
    clients: OAuthClients
    server: AuthorizationServer
    authorization: Authorization
    browser: Browser
    external_sign_in: ExternalSignIn


def build_identity(
    connections: Connections, temporal: Client, tokens: AccessTokens, redis: RedisPipeline, carts: CartStore
) -> IdentityServices:
    """Put it together."""
    settings, engine = connections.settings, connections.engine
    accounts, passwords = Accounts(engine), Passwords(settings.password_memory_kib)
    security, clients, grants, api_keys = SecurityEvents(engine), OAuthClients(engine), Grants(engine), ApiKeys(engine)
    sessions = Sessions(accounts, TokenVersions(connections.redis, redis), grants.revoke_all_of, grants.is_revoked)
    throttle = LoginThrottle(settings, RecentLogins(connections.redis), LoginFailures(engine), security)
    server = build_authorization_server(
        AuthorizationServer(settings, clients, accounts, passwords, tokens, grants, sessions, throttle, security)
    )
    browser = Browser(settings)
    return IdentityServices(
        accounts=accounts,
        addresses=AddressBook(engine),
        changes=AccountChanges(
            engine, accounts, passwords, EmailTokens(engine), sessions, throttle, api_keys, security, carts
        ),
        mails=AccountMails(temporal, WaitingMails(engine)),
        tokens=tokens,
        passwords=passwords,
        sessions=sessions,
        api_keys=api_keys,
        authenticator=Authenticator(tokens, sessions, clients, api_keys),
        security=security,
        clients=clients,
        server=server,
        authorization=Authorization(server, browser),
        browser=browser,
        external_sign_in=ExternalSignIn(settings, accounts, ExternalIdentities(engine)),
    )
