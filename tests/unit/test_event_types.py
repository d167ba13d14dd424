"""
The catalogue of event types.
"""

import pytest

from onelogin_connector.onelogin import event_types


def test_all_public_types_are_known():
    """
    539 ids, each with a name of its own in OneLogin's spelling.
    """
    types = event_types.known()
    assert len(types) == 539
    assert len({one.name for one in types.values()}) == 539
    assert all(id_ == one.id and one.name == one.name.upper().strip() for id_, one in types.items())


@pytest.mark.parametrize(
    ("id_", "name"),
    [
        (1, "APP_ADDED_TO_ROLE"),
        (5, "USER_LOGGED_INTO_ONELOGIN"),
        (6, "USER_FAILED_ONELOGIN_LOGIN"),
        (531, "API_LOCK_USER"),
        (3028, "DELEGATED_TRUSTED_IDP_PRIVILEGE_DENIED"),
        (9059, "ROLE_LIST_ADMINISTRATORS_FAILED"),
        (0, None),
        (-1, None),
        (2**70, None),
    ],
)
def test_names(id_, name):
    """
    A known id has its name, an unknown one has none.
    """
    assert event_types.name(id_) == name


def test_public_descriptions_are_there():
    """
    The six types whose sentence is public carry it.
    """
    described = {id_ for id_, one in event_types.known().items() if one.description}
    assert described == {1, 2, 3, 4, 5, 6}
    assert "%user%" in event_types.known()[5].description


def test_the_catalogue_cannot_be_changed():
    """
    Learned names belong to whoever learned them, not into the shared catalogue.
    """
    with pytest.raises(TypeError):
        event_types.known()[1] = None


def test_placeholder_is_not_a_known_name():
    """
    A type without a name is called by its number, as no real type is.
    """
    assert event_types.placeholder(424242) == "EVENT_TYPE_424242"
    assert not any(one.name.startswith("EVENT_TYPE_") for one in event_types.known().values())
