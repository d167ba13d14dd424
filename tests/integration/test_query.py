"""
Queries by people: what they may reach, how long they may run, and what they are told.
"""

from resource import RUSAGE_SELF, getrusage
from threading import Event, Thread, Timer
from time import process_time

import pytest

from fixtures.kql_story import EPOCH, morning, record, webhook
from onelogin_connector import kql
from onelogin_connector.errors import QueryError
from onelogin_connector.onelogin import event_types
from onelogin_connector.store import Store
from onelogin_connector.store.guard import Guard
from patience import PATIENCE_SECONDS, wait_until

RUNAWAY = (
    "range a from 1 to 100000 step 1 | extend k = 1 | join kind=inner (range b from 1 to 100000 step 1 | extend k = 1) on k"
    " | where (a * b) % 7 == 3 | summarize sum(a * b)"
)
LARGE = "range a from 1 to 1000000 step 1 | summarize make_list(strcat(strrep('x', 1000), a))"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Give a store that holds the morning."""
    store = Store.open(
        tmp_path_factory.mktemp("query") / "store.duckdb", names=event_types.name, memory="300MB"
    )
    store.insert(morning(), EPOCH)
    yield store
    store.close()


def memory_peak():
    """Return the most memory the process has had so far, in bytes."""
    return getrusage(RUSAGE_SELF).ru_maxrss * 1024


def refusal(store, text, **options):
    """Run a query that must be refused; return the error."""
    with pytest.raises(QueryError) as caught:
        store.query(text, **options)
    error = caught.value
    for inside in ("SELECT", "_s0", "_s1", "Binder", "CAST(", "duckdb_kql", "wave", "Catalog", "LINE "):
        assert inside not in str(error), "the message shows generated SQL"
    return error


UNREACHABLE = [
    "duckdb_tables",
    "duckdb_settings",
    "sqlite_master",
    "pragma_database_list",
    "['duckdb_tables']",
    "['pg_catalog.pg_class']",
    "pg_class",
    "['information_schema.tables']",
    "['/etc/passwd']",
    "['*.csv']",
    "['https://example.com/x.parquet']",
    "events",
    "positions",
    "versions",
    "onelogin",
    "['OneLogin\" UNION ALL --']",
    "database('main').events",
    "cluster('x').database('y').OneLogin",
    "externaldata(x:string)['https://example.com/x']",
    "union *, events",
    "union duckdb_*",
    "OneLogin | union sqlite_master",
    "OneLogin | join (duckdb_tables) on $left.UserName == $right.table_name",
    "OneLogin | where UserName in (duckdb_tables | project table_name)",
    "print toscalar(duckdb_tables | count)",
    "let f = () { duckdb_tables }; f()",
    "let duckdb_tables = duckdb_tables; duckdb_tables",
    "let sqlite_master = OneLogin; union sqlite_master, duckdb_tables",
    ".show tables",
    ".drop table OneLogin",
    ".set-or-append OneLogin <| print 1",
    "// harmless\n.show tables",
    "OneLogin; OneLogin",
    "OneLogin | take 1; .drop table events",
]


@pytest.mark.parametrize("text", UNREACHABLE)
def test_nothing_but_our_tables_can_be_read(store, text):
    """
    The catalog, files, addresses, the tables below the views, and commands are refused with a reason.
    """
    assert refusal(store, text).message


def test_a_fuzzy_union_goes_without_what_it_may_not_read(store):
    """
    ``isfuzzy`` leaves out tables that are not there, and DuckDB's own are not there.
    """
    alone = store.query("OneLogin | count").rows
    for other in ("Nope", "duckdb_tables", "(sqlite_master | take 1)", "['/etc/passwd']"):
        assert store.query(f"union isfuzzy=true OneLogin, {other} | count").rows == alone


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM events",
        'SELECT * FROM "duckdb_tables"',
        "SELECT * FROM duckdb_settings()",
        'SELECT * FROM main."OneLogin"',
        "WITH duckdb_tables AS (SELECT 1) SELECT * FROM duckdb_tables",
        "SELECT (SELECT count(*) FROM sqlite_master)",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT 1; SELECT 2",
        "DROP TABLE events",
        "COPY events TO '/tmp/x'",
        "SET threads = 1",
        "ATTACH '/tmp/x'",
        "PRAGMA database_list",
    ],
)
def test_the_guard_reads_sql_for_itself(store, sql):
    """
    Even SQL that a faulty compiler might emit reaches nothing but the views.
    """
    guard = Guard(store._database.reader, frozenset({"OneLogin"}))
    with pytest.raises(QueryError):
        guard.check(store._database.cursor(), sql)
    guard.check(store._database.cursor(), 'WITH a AS (SELECT * FROM "OneLogin") SELECT * FROM a, range(3)')


def test_an_analysts_connection_is_locked(store):
    """
    Below all checks, the database itself refuses files and changed settings.
    """
    import duckdb

    for sql in ("SELECT * FROM read_text('/etc/hostname')", "SET memory_limit = '9GB'", "INSTALL httpfs",
                "SET enable_external_access = true", "COPY (SELECT 1) TO '/tmp/never'"):  # fmt: skip
        with pytest.raises(duckdb.Error):
            store._database.cursor().execute(sql)


MISTAKES = [
    ("", "empty", "OneLogin", (0, 0)),
    ("OneLogin | where Foo == 1", "no column Foo", "", (1, 18)),
    ("OneLogin\n| where UserNam == 'x'", "no column UserNam", "UserName", (2, 9)),
    ("OneLogin | where username == 'x'", "no column username", "UserName", (1, 18)),
    ("OneLogn | take 1", "no table OneLogn", "OneLogin", (1, 1)),
    ("onelogin | take 1", "no table onelogin", "case-sensitive", (1, 1)),
    ("OneLogin | summarise count()", "no operator summarise", "summarize", (1, 12)),
    ("OneLogin | mv-apply x = Raw on (take 1)", "mv-apply", "docs/kql.md", (1, 12)),
    (
        "OneLogin | make-series count() on TimeGenerated step 1h",
        "make-series is not supported",
        "docs/kql.md",
        (1, 12),
    ),
    ("OneLogin | search 'x'", "search is not supported", "docs/kql.md", (1, 12)),
    ("OneLogin | evaluate bag_unpack(Raw)", "evaluate is not supported", "docs/kql.md", (1, 12)),
    ("OneLogin | serialize", "serialize is not supported", "docs/kql.md", (1, 12)),
    ("OneLogin | summarize makeset(UserName)", "makeset is not supported", "make_set", (1, 22)),
    (
        "OneLogin | extend x = ipv4_is_private(SrcIpAddr)",
        "ipv4_is_private is not supported",
        "docs/kql.md",
        (1, 23),
    ),
    ("OneLogin | where UserName = 'x'", "two equals signs", "==", (1, 27)),
    ("OneLogin | where UserId == 'abc'", "'abc'", "tostring", (1, 28)),
    ("OneLogin | where UserId has 'abc'", "type", "tostring", (1, 18)),
    ("OneLogin | project UserId + UserName", "type", "tolong", (1, 29)),
    ("OneLogin | where UserId > datetime(2026-01-01)", "long and datetime", "tostring", (1, 18)),
    ("OneLogin | where TimeGenerated > 'yesterday'", "time", "ago(1d)", (1, 34)),
    ("OneLogin | where (UserId == 1", "( is not closed", "", (1, 18)),
    ("OneLogin | where UserName == 'x", "' is not closed", "", (1, 30)),
    ("OneLogin | take", "take", "", (1, 12)),
    ("OneLogin | where UserId == 1 or", "", "", (1, 10)),
    ("declare query_parameters(x:long); OneLogin | where UserId == x", "parameters", "let", (1, 1)),
    ("OneLogin | where " + "(" * 400 + "1 == 1" + ")" * 400, "brackets", "let", (1, 58)),
    ("OneLogin | where " + " + ".join(["UserId"] * 3000) + " > 1", "nested", "let", (0, 0)),
    (
        "OneLogin | where UserName in (" + ",".join(f"'{n:020d}'" for n in range(3000)) + ")",
        "characters",
        "",
        (0, 0),
    ),
    ("OneLogin | take -1", "take needs a number", "take 10", (1, 17)),
    ("OneLogin | take x", "take needs a number", "take 10", (1, 12)),
    ("OneLogin | top -1 by UserId", "top needs a number", "top 10", (1, 16)),
    ("information_schema.tables", "no table information_schema.tables", "OneLogin", (1, 1)),
    ("let a = 1;\nmain.events | take 1", "no table main.events", "OneLogin", (2, 1)),
    ("range x from 1 to 100000000000 step 1", "a million rows", "larger step", (1, 1)),
    ("OneLogin\n| where UserName == 6", "UserName, a string, is compared", "in quotes", (2, 9)),
    ("OneLogin | where 6 == UserName", "UserName, a string, is compared", "in quotes", (1, 23)),
    ("OneLogin | where UserName in (1, 2)", "UserName, a string, is compared", "in quotes", (1, 18)),
    ("OneLogin | where UserName > 6", "string and long", "in quotes", (1, 18)),
    ("OneLogin | summarize sum(UserName)", "of a type it does not take", "tolong", (1, 22)),
    ("OneLogin | where TimeGenerated > 5", "datetime and long", "ago(1d)", (1, 18)),
    ("OneLogin | where EventType", "true or false", "==", (1, 18)),
    (
        "OneLogin | where UserId in (OneLogin | extend a = 1 | project a) and UserId = 2",
        "two equals",
        "==",
        (1, 77),
    ),
    ("OneLogin | where TimeGenerated > ago(1x)", "1x is no number", "7d", (1, 38)),
    ("OneLogin | take 1;\nOneLogin | take 2", "second query", "let", (2, 1)),
    ("set notruncation; OneLogin | take 1", "set notruncation is not supported", "Leave it out", (1, 1)),
    (
        r'OneLogin | where UserName matches regex "\d+"',
        r"\d has no meaning",
        r'@"\d", or two backslashes: "\\d"',
        (1, 41),
    ),
    ("print strrep('x')", "strrep takes 2 arguments, not 1", "docs/kql.md", (1, 7)),
    ("OneLogin | where UserId == \0 1", "", "", (1, 28)),
]


@pytest.mark.parametrize(
    ("text", "says", "advises", "place"), MISTAKES, ids=[case[0][:60] for case in MISTAKES]
)
def test_mistakes_are_explained(store, text, says, advises, place):
    """
    A wrong query gets a sentence about its own words, what to do, and where.
    """
    error = refusal(store, text)
    assert says in error.message
    assert advises in error.action
    if place != (1, 10):  # where exactly an unfinished query ends is the parser's business
        assert (error.line, error.column) == place


STORED = ("Anna Berg", "Authentication method", "USER_LOGGED", "198.51.100.7")


@pytest.mark.parametrize(
    "text",
    [
        "OneLogin | where UserName == 6",
        "OneLogin | where strcat(UserName, '') == 6",
        "OneLogin | where UserName between (1 .. 5)",
        "OneLogin | extend x = UserName | where x in (1, 2)",
        "OneLogin | where EventType",
        "OneLogin | where tolower(Message) == true",
        "OneLogin | summarize n = count() by SrcIpAddr | where SrcIpAddr == 5",
        "OneLogin | where UserName == datetime(2026-01-01)",
        "OneLogin | where UserName == 1h",
        "OneLogin | where parse_json(UserName) == 1",
        "OneLogin | extend x = case(UserId > 0, UserName, 1) | where x == 1",
        "OneLogin | where strcat(UserName, Message) in (1, 2)",
        "OneLogin | join kind=inner (OneLogin | project UserId, n = UserId) on $left.UserName == $right.n",
    ],
)
def test_no_stored_value_stands_in_a_message(store, text):
    """
    An error met on an event's value says which column, never the value.
    """
    told = ""
    try:
        store.query(text)
    except QueryError as error:
        told = str(error).lower()
    assert not [value for value in STORED if value.lower() in told]


@pytest.mark.parametrize(
    "text",
    [
        "OneLogin | where UserId in ((OneLogin | extend a = UserId | project a)) | take 0",
        "OneLogin | where UserId >= 1 and UserId <= 2 and UserId != 3 and UserName =~ 'x' and UserName !~ 'y'",
        "let f = (x: long) { x + 1 }; OneLogin | where UserId == f(1) | extend a = 1 | summarize n = count()",
        "OneLogin | where UserId == 101 | extend a = -1 | take 0",
        r"OneLogin | where UserName matches regex @'\d' or UserName == '\'' or UserName == 'a\\b'",
    ],
)
def test_right_queries_are_not_taken_for_mistakes(store, text):
    """
    An equals sign, a minus or a backslash in its place is none of these mistakes.
    """
    assert store.query(text).columns


@pytest.fixture
def happened(monkeypatch):
    """
    Let no query be stopped, although its time is over, before something has happened beside it; gives what says so.

    What a test does within a query's time takes longer than that on a busy machine.
    """
    happened = Event()

    class Late(Timer):
        def run(self):
            if not self.finished.wait(self.interval):
                happened.wait(PATIENCE_SECONDS)
                self.function()

    monkeypatch.setattr("onelogin_connector.store.analyst.Timer", Late)
    return happened


def test_a_runaway_is_stopped_and_inserts_go_on(store, happened):
    """
    A query that would run for days ends at its timeout; meanwhile events come in, and afterwards queries run.
    """
    refused = Event()

    def run():
        with pytest.raises(QueryError, match="stopped after 1"):
            store.query(RUNAWAY, timeout_seconds=1.5)
        refused.set()

    before = store.stats()["rows"]
    runaway = Thread(target=run)
    runaway.start()
    inserted = 0
    while not refused.is_set() and runaway.is_alive():
        inserted += 1
        fields = webhook(1000 + inserted, "12:00:00", 5)
        store.insert([record(100 + inserted, fields)], EPOCH)
        if inserted > 5:
            happened.set()
    runaway.join()
    assert refused.is_set()
    assert inserted > 5
    assert store.query("OneLogin | count").rows == [(before + inserted,)]


def test_a_second_query_waits_its_turn_and_no_longer(store, happened):
    """
    While one query runs another one waits, and is told when its time is over.
    """
    found = []
    runaway = Thread(target=refusal, args=(store, RUNAWAY), kwargs={"timeout_seconds": 2})
    second = Thread(target=lambda: found.append(store.query("OneLogin | count", timeout_seconds=100).rows))
    runaway.start()
    wait_until(store._analyst._turn.locked, every_seconds=0.01)
    with pytest.raises(QueryError, match="Another query"):
        store.query("OneLogin | count", timeout_seconds=0.2)
    second.start()
    happened.set()
    runaway.join()
    wait_until(lambda: found, seconds=6)
    second.join()


def test_memory_is_bounded_and_the_store_survives(store):
    """
    A query that needs too much memory is refused; events and queries go on.
    """
    error = refusal(store, LARGE, timeout_seconds=30)
    assert "memory" in error.message or "stopped" in error.message
    assert store.query("OneLogin | count").rows


DOUBLED = "print a0 = 'aaaaaaaa'" + "".join(f" | extend a{n + 1} = strcat(a{n}, a{n})" for n in range(40))
NESTED = "let a0 = tostring(now());" + "".join(f" let a{n + 1} = strcat(a{n}, a{n});" for n in range(40))
ENDLESS = [
    "range n from 1 to 2048 step 1 | extend t = strrep(strrep('x', 1000), n * 1000000) | summarize sum(strlen(t))",
    "range n from 1 to 2048 step 1 | extend t = strrep(strrep(strrep('x', 1000), 1000), n) | project strlen(t)",
    f"{DOUBLED} | project strlen(a40)",
    f"{NESTED} print strlen(a40)",
    "let a0 = 5;" + "".join(f" let a{n + 1} = a{n} + a{n};" for n in range(60)) + " print a60",
    DOUBLED.replace("strcat(", "strcat_delim('-', ") + " | project strlen(a40)",
    DOUBLED.replace("'aaaaaaaa'", "pack_array(1)").replace("strcat(", "array_concat("),
    DOUBLED.replace("'aaaaaaaa'", "pack_array(1)").replace("strcat(", "pack_array("),
    "print a0 = 'a'" + "".join(f" | extend a{n + 1} = bag_pack('x', a{n}, 'y', a{n})" for n in range(40)),
    "print a0 = pack_array(1)" + "".join(f" | extend a{n + 1} = zip(a{n}, a{n})" for n in range(40)),
    "print a = strrep('x', 1000) | extend b = replace_string(a, 'x', a) | extend c = replace_string(b, 'x', a)",
    "print a = strrep('x', 1000) | extend b = replace_regex(a, 'x', a)",
    "print strcat_array(split(strrep('x,', 1000), ','), strrep('x', 1000))",
    "print countof(strrep(strrep('x', 1000), 100), 'xx')",
    "range n from 1 to 100000000000 step 1 | count",
    "let m = toscalar(print 100000000000); range n from 1 to m step 1 | count",
    "range n from ago(300000d) to now() step 1ms | count",
]


@pytest.mark.parametrize("text", ENDLESS, ids=[text[:50] for text in ENDLESS])
def test_little_cannot_become_endless(store, text):
    """
    What a few letters would blow up is refused at once, before memory or time is spent on it.
    """
    before = memory_peak()
    began = process_time()  # of all threads, and not of what else the machine does
    error = refusal(store, text)
    assert process_time() - began < 8
    assert memory_peak() - before < 1_500_000_000
    assert "stopped" not in error.message
    assert "cannot be run as it is written" not in error.message


def test_repeating_is_bounded_as_in_kusto(store):
    """
    ``strrep`` repeats 1024 times at most, whatever it is asked for.
    """
    asked = "print a = strlen(strrep('a', 4000000000)), b = strrep('ab', 3), c = strlen(strrep('', 9)), d = strrep('a', -1)"
    assert store.query(asked).rows == [(1024, "ababab", 0, "")]
    many = ", ".join(f"a{n} = strlen(strrep('a', 4000000000))" for n in range(20))
    assert store.query(f"print {many}").rows == [(1024,) * 20]


def test_bounded_functions_keep_their_results(store):
    """
    Within the bounds texts are put together as ever.
    """
    asked = (
        "print a = strcat('x', 1, true), b = replace_string('aXbX', 'X', '--'), c = replace_regex('a1b22', '[0-9]+', '#'),"
        " d = countof('aaaa', 'aa'), e = strcat_array(split('a,b', ','), '; '), f = array_concat(pack_array(1), pack_array(2)),"
        " g = replace_string('', 'X', 'y'), h = strcat_delim('-', 'a', 'b')"
    )
    assert store.query(asked).rows == [("x1True", "a--b--", "a#b#", 3, "a; b", [1, 2], "", "a-b")]
    assert store.query("range d from datetime(2026-01-01) to datetime(2026-01-03) step 1d | count").rows == [
        (3,)
    ]
    assert store.query("range n from 5 to 1 step -2").rows == [(5,), (3,), (1,)]


def test_rows_are_cut_and_said_to_be(store):
    """
    A result ends at its row limit with a word about it; a result that just fits is whole.
    """
    text = "range n from 1 to 31000 step 1"
    default = store.query(text)
    assert (len(default.rows), default.truncated) == (30_000, True)
    assert (len(store.query(text, limit=31_000).rows), store.query(text, limit=31_000).truncated) == (
        31_000,
        False,
    )
    assert len(store.query(text, limit=None).rows) == 31_000


def test_bytes_are_cut_too(store):
    """
    A few rows of much text end the result as well.
    """
    result = store.query(
        "range n from 1 to 3000 step 1 | extend t = strrep(strrep('x', 1000), 100) | project t"
    )
    assert result.truncated
    assert 0 < len(result.rows) < 3000


@pytest.mark.parametrize("limit", [None, 10**18])
def test_all_rows_are_bounded_too(store, limit):
    """
    Whoever asks for all rows gets as many as fit a result, so that rows without text do not fill the memory.
    """
    rows = "range a from 1 to 3000 step 1 | extend k = 1"
    result = store.query(
        f"{rows} | join kind=inner (range b from 1 to 3000 step 1 | extend k = 1) on k",
        limit=limit,
        timeout_seconds=300,
    )
    assert result.truncated
    assert 100_000 < len(result.rows) < 2_000_000


def test_now_is_the_moment_of_the_query_each_time(store):
    """
    A kept translation does not keep the time.
    """
    first = store.query("print now()").rows[0][0]
    assert store.query("print now()").rows[0][0] > first


def test_the_schema_is_what_compile_needs(store):
    """
    Tables and types of the schema compile to the columns that the query then has.
    """
    compiled = kql.compile("OneLogin | project TimeGenerated, UserId", store.schema)
    assert compiled.columns == ("TimeGenerated", "UserId")
    assert compiled.tables == {"OneLogin"}
    assert store.schema["OneLogin"]["TimeGenerated"] == "datetime"
    assert store.schema["OneLogin_CL"]["user_id_d"] == "real"
    assert store.schema["OneLogin"]["Raw"] == "dynamic"
