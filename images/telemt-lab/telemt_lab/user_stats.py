"""What the control API says about the users, in Telemt's shapes. No links: they hold secrets."""

from .users import Users


def user_list(users: Users) -> list[dict[str, object]]:
    """Return each user's limits and use, by name."""
    found = []
    for user in sorted(users, key=lambda user: user.entry.name):
        users.prune(user)
        entry = user.entry
        found.append(
            {
                "username": entry.name,
                "enabled": entry.enabled,
                "in_runtime": True,
                "user_ad_tag": None,
                "max_tcp_conns": entry.connections or None,
                "expiration_rfc3339": None,
                "data_quota_bytes": entry.quota,
                "rate_limit_up_bps": None,
                "rate_limit_down_bps": None,
                "max_unique_ips": entry.addresses or None,
                "current_connections": user.connections,
                "active_unique_ips": len(user.active),
                "active_unique_ips_list": list(user.active),
                "recent_unique_ips": len(user.recent),
                "recent_unique_ips_list": list(user.recent),
                "total_octets": user.from_client + user.to_client,
                "links": {"classic": [], "secure": [], "tls": [], "tls_domains": []},
            }
        )
    return found


def active_addresses(users: Users) -> list[dict[str, object]]:
    """Return the addresses of each user that has any now, by name."""
    return [
        {"username": user.entry.name, "active_ips": list(user.active)}
        for user in sorted(users, key=lambda user: user.entry.name)
        if user.active
    ]


def quotas(users: Users) -> dict[str, object]:
    """Return each quota that is not 0 and what is used of it, by name."""
    return {
        "users": [
            {
                "username": user.entry.name,
                "data_quota_bytes": user.entry.quota,
                "used_bytes": user.quota_used,
                "last_reset_epoch_secs": user.quota_reset,
            }
            for user in sorted(users, key=lambda user: user.entry.name)
            if user.entry.quota
        ]
    }
