"""
One thing that happened in the simulated company, and how each channel tells it.

The truth has more than either record shows: the webhook names it by a uuid and tells its time in seconds, the
Events API by a number and in milliseconds, with fewer fields. Nothing in the two records is the same id, as with
the real OneLogin.
"""

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

API_FIELDS = (
    "account_id", "user_id", "event_type_id", "notes", "ipaddr", "actor_user_id", "assuming_acting_user_id", "role_id",
    "app_id", "group_id", "otp_device_id", "policy_id", "actor_system", "custom_message", "role_name", "app_name",
    "group_name", "actor_user_name", "user_name", "policy_name", "otp_device_name", "operation_name",
    "directory_sync_run_id", "directory_id", "resolution", "client_id", "resource_type_id", "error_description",
    "proxy_ip", "risk_score", "risk_reasons", "risk_cookie_id", "browser_fingerprint",
)  # fmt: skip
"""The fields of a record of the Events API behind ``id`` and ``created_at``, in its order."""

WEBHOOK_FIELDS = (
    "create", "error_description", "login_name", "app_name", "authentication_factor_description", "certificate_name",
    "certificate_id", "event_timestamp", "assumed_by_superadmin_or_reseller", "directory_name", "actor_user_id",
    "user_name", "mapping_id", "radius_config_id", "risk_score", "otp_device_id", "imported_user_id", "resolution",
    "directory_id", "authentication_factor_id", "param", "risk_cookie_id", "app_id", "custom_message",
    "browser_fingerprint", "actor_system", "uuid", "otp_device_name", "actor_user_name", "user_field_name",
    "assuming_acting_user_id", "adc_id", "solved", "api_credential_name", "imported_user_name", "note_title",
    "trusted_idp_name", "policy_id", "role_name", "service_directory_id", "object_id", "account_id", "user_field_id",
    "resolved_by_user_id", "group_id", "client_id", "ipaddr", "login_id", "notes", "event_type_id", "user_id",
    "risk_reasons", "proxy_agent_name", "policy_type", "role_id", "user_agent", "privilege_name", "group_name",
    "entity", "resource_type_id", "resolved_at", "note_id", "mapping_name", "task_name", "authentication_factor_type",
    "proxy_agent_id", "adc_name", "radius_config_name", "policy_name", "trusted_idp_id", "privilege_id", "proxy_ip",
    "directory_sync_run_id",
)  # fmt: skip
"""Every key of a webhook record, in its order; those that do not apply are null."""


class Happening(Struct):
    """
    One event as it really was.
    """

    time_us: int
    """Microseconds since 1970, UTC."""
    fields: dict[str, Any]
    """What is known of it, by the names of the records' fields."""
    number: int = 0
    """Its id in the Events API: above 32 bits, rising with time."""
    uuid: str = ""
    """Its id in the webhook."""

    def to_webhook(self) -> dict[str, Any]:
        """
        Return the record that the webhook sends.
        """
        record = {name: self.fields.get(name) for name in WEBHOOK_FIELDS}
        record["create"] = {"_id": self.uuid}
        record["uuid"] = self.uuid
        record["event_timestamp"] = f"{self._moment():%Y-%m-%d %H:%M:%S} UTC"
        return record

    def to_api(self) -> dict[str, Any]:
        """
        Return the record that the Events API lists.
        """
        moment = self._moment()
        created_at = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1_000:03d}Z"
        return {
            "id": self.number,
            "created_at": created_at,
            **{name: self.fields.get(name) for name in API_FIELDS},
        }

    def _moment(self) -> datetime:
        seconds, micros = divmod(self.time_us, 1_000_000)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
