"""The grammar of the built-in sample: concepts of programming questions, and the surface forms of each.

Surface forms are separated by `|`; a form that is listed twice is drawn twice as often. In a task, `~` stands for the
object. A concept that exists only in some languages or tools names those topics.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Concept:
    """One thing that a question may mention: its surface forms, its families, and the topics that have it."""

    forms: tuple[str, ...]
    families: tuple[str, ...] = ()  # a task and an object go together if they share one
    topics: tuple[str, ...] = ()  # first forms of topics; empty for every topic

    def fits(self, topic: "Concept") -> bool:
        """Whether the concept exists in the language or tool `topic`."""
        return not self.topics or topic.forms[0] in self.topics

    def goes_with(self, other: "Concept") -> bool:
        """Whether the two are different concepts that share a family."""
        return self != other and any(family in other.families for family in self.families)


def _concept(forms: str, families: str = "", topics: str = "") -> Concept:
    return Concept(tuple(forms.split("|")), tuple(families.split()), tuple(topics.split()))


JVM, DOTNET, APPLE = "Java Android Kotlin Scala Spring", "C# .NET ASP.NET WPF F#", "iOS Swift Objective-C"

# From the most to the least frequent.
TOPICS = tuple(
    _concept(forms)
    for forms in (
        "Python|python 3|py|python script",
        "Java|JDK|java 8|JVM",
        "JavaScript|js|ECMAScript|vanilla js",
        "C#|c sharp|csharp|C#",
        "PHP|php 7|php script|PHP",
        "C++|cpp|c plus plus|C++11",
        "Android|android studio|android app|Android",
        ".NET|dotnet|.net core|.NET framework",
        "Node.js|node|nodejs|node js",
        "SQL Server|mssql|T-SQL|tsql",
        "MySQL|MariaDB|my sql|MySQL",
        "jQuery|$ function|jquery plugin|jQuery",
        "iOS|iPhone|iPad|iOS app",
        "R|rstats|RStudio|R language",
        "Django|django orm|django view|Django",
        "Ruby on Rails|rails|RoR|rails app",
        "TypeScript|ts|typescript compiler|TypeScript",
        "React|reactjs|react component|React.js",
        "PostgreSQL|postgres|psql|pgsql",
        "Swift|swift 5|Xcode|Swift",
        "Bash|shell script|sh|unix shell",
        "Angular|ng|AngularJS|angular 2",
        "ASP.NET|aspx|asp net|webforms",
        "Ruby|ruby gem|irb|Ruby",
        "Spring|spring boot|spring mvc|Spring",
        "Go|golang|go lang|Golang",
        "Kotlin|kt|kotlin class|Kotlin",
        "Rust|rustc|cargo|Rust",
        "MATLAB|matlab script|octave|Matlab",
        "PowerShell|pwsh|ps1 script|PowerShell",
        "Excel VBA|vba|excel macro|VBA",
        "Scala|sbt|scala class|Scala",
        "Perl|perl 5|perl script|Perl",
        "F#|f sharp|fsharp|F#",
        "Objective-C|objc|objective c|Cocoa",
        "Haskell|ghc|ghci|Haskell",
        "WPF|xaml|WPF app|windows presentation foundation",
        "Lua|lua script|luajit|Lua",
    )
)

OBJECTS = (
    # collections
    _concept("a list|an array|a collection|a sequence", "collection"),
    _concept("a dictionary|a dict|a hash map|an associative array|key value pairs", "collection"),
    _concept("a nested list|a two dimensional array|a 2d array|a matrix|a list of lists", "collection"),
    _concept("a set|unique values|distinct items", "collection"),
    _concept("a queue|a fifo buffer|a deque", "collection"),
    _concept("a linked list|a chain of nodes|linked nodes", "collection"),
    _concept("a binary tree|a BST|tree nodes", "collection"),
    _concept("a tuple|a pair of values|fixed size record", "collection"),
    _concept("an iterator|a generator|a lazy stream|an enumerable", "collection"),
    _concept("an ArrayList|`ArrayList`|java.util.ArrayList|array list", "collection", JVM),
    _concept("a `HashMap`|HashMap|a hashmap|map entries", "collection", "Java Android Kotlin Scala Rust Spring"),
    _concept("a std::vector|a vector|std vector|vec", "collection", "C++"),
    _concept("a DataFrame|a pandas df|pandas dataframe|df rows", "collection", "Python Django R"),
    _concept("a numpy array|an ndarray|np array|numpy matrix", "collection", "Python"),
    _concept("a List<T>|a generic list|an IList|List<string>", "collection", DOTNET),
    _concept("an NSArray|NSMutableArray|ns array", "collection", APPLE),
    # text
    _concept("a string|text|a str|characters", "text"),
    _concept("a substring|part of string|a slice of text", "text"),
    _concept("a regular expression|regex|a regexp|a search pattern", "text"),
    _concept("whitespace|blanks|spaces and tabs", "text"),
    _concept("line breaks|newlines|carriage returns|\\n characters", "text"),
    _concept("HTML tags|html markup|DOM elements", "text"),
    _concept("an email address|e-mail|mail address", "text"),
    _concept("a phone number|telephone number|mobile number", "text"),
    _concept("user input|stdin|keyboard input|what user types", "text"),
    # numbers and times
    _concept("a date|a datetime|a timestamp|day month year", "value"),
    _concept("an integer|an int|a whole number", "value"),
    _concept("a float|a double|a decimal number|floating point value", "value"),
    _concept("a boolean|a bool|true or false flag", "value"),
    _concept("an enum|an enumeration|enumerated type", "value"),
    _concept("currency|money amount|dollar price", "value"),
    _concept("a GUID|a UUID|unique identifier", "value"),
    _concept("a time zone|tz|UTC offset|local time", "value"),
    _concept("binary data|raw bytes|a byte buffer", "value"),
    # files and formats
    _concept("a file|a document on disk|a txt file", "file"),
    _concept("a directory|a folder|dir|a path", "file"),
    _concept("JSON|a json object|json response|.json", "file"),
    _concept("XML|an xml document|xml nodes|.xml", "file"),
    _concept("a CSV file|csv|comma separated values|a spreadsheet export", "file"),
    _concept("a PDF|pdf document|acrobat file", "file"),
    _concept("an image|a picture|a photo|jpg|png", "file"),
    _concept("a zip archive|compressed file|a tarball", "file"),
    _concept("a log file|logs|logging output", "file"),
    _concept("a config file|settings|configuration|ini values", "file"),
    _concept("YAML|yml|a yaml file", "file"),
    # databases
    _concept("a table|a relation|db table", "database"),
    _concept("a database|a db|a schema", "database"),
    _concept("a row|a record|an entry", "database"),
    _concept("a column|a field|an attribute", "database"),
    _concept("a stored procedure|a sproc|stored proc|sql routine", "database"),
    _concept("a foreign key|fk|a relationship between tables", "database"),
    _concept("a primary key|pk|auto increment id|identity column", "database"),
    _concept("query results|a result set|select output", "database"),
    _concept("an index|indices|a table index", "database"),
    # networks
    _concept("an HTTP request|a web request|http call|a GET or POST", "network"),
    _concept("a REST API|a web service|an endpoint|rest service", "network"),
    _concept("a URL|a link|a web address|a uri", "network"),
    _concept("a cookie|session cookie|browser cookies", "network"),
    _concept("a socket|tcp connection|a network stream", "network"),
    _concept("an email message|mail|an e-mail via SMTP|newsletter", "network"),
    _concept("an uploaded file|a file upload|multipart form data", "network"),
    _concept("an access token|a JWT|oauth token|bearer credentials", "network"),
    _concept("a password|user credentials|login secret", "network"),
    # code
    _concept("a function|a method|a procedure|a subroutine", "code"),
    _concept("a class|an object type|a custom type", "code"),
    _concept("a constructor|ctor|an initializer|init method", "code"),
    _concept("an interface|an abstract class|a protocol", "code"),
    _concept("a variable|a local var|a named value", "code"),
    _concept("a global variable|a static field|a singleton", "code"),
    _concept("a lambda|an anonymous function|a closure|arrow function", "code"),
    _concept("an event handler|a callback|a listener", "code"),
    _concept("a thread|a background worker|multithreading", "code"),
    _concept("a module|a package|a library|a dependency", "code"),
    _concept("a unit test|a test case|automated tests", "code"),
    _concept("a decorator|an annotation|an attribute on method", "code"),
    _concept("environment variables|env vars|system variables", "code"),
    # screens
    _concept("a button|a clickable control|btn", "screen"),
    _concept("a dropdown|a combo box|a select list|ComboBox", "screen"),
    _concept("a text box|an input field|a TextBox|textarea", "screen"),
    _concept("a modal dialog|a popup|an alert window", "screen"),
    _concept("a grid|a data grid|a DataGridView|table view", "screen"),
    _concept("a progress bar|a loading spinner|busy indicator", "screen"),
    _concept("a checkbox|a tick box|check mark control", "screen"),
    _concept("a chart|a plot|a graph figure", "screen"),
    _concept("a web page|a site|html page", "screen"),
)

TASKS = (
    _concept("sort ~|order ~|arrange ~|rank items of ~", "collection database"),
    _concept("filter ~|select matching elements of ~|keep only some items of ~", "collection database"),
    _concept("reverse ~|flip ~|invert ~", "collection text"),
    _concept("merge ~|combine ~|join ~|concatenate ~", "collection text file database"),
    _concept("remove duplicates from ~|deduplicate ~|drop repeated values of ~", "collection database text"),
    _concept("loop over ~|iterate through ~|traverse ~|walk ~|use foreach on ~", "collection file database"),
    _concept("find the maximum of ~|get largest value of ~|compute max of ~", "collection database value"),
    _concept(
        "count elements of ~|get length of ~|determine size of ~|number items of ~", "collection text database file"
    ),
    _concept("copy ~|clone ~|duplicate ~|make a copy of ~", "collection file code database"),
    _concept("initialize ~|create ~|declare ~|instantiate ~", "collection code value screen"),
    _concept(
        "check if ~ is empty|test for null ~|detect missing ~|verify nothing is in ~", "collection text value database"
    ),
    _concept("split ~|divide ~|tokenize ~|break up ~", "text collection"),
    _concept("replace ~|substitute ~|swap out ~", "text database file"),
    _concept("delete ~|remove ~|erase ~|get rid of ~", "text collection file database network screen"),
    _concept("search for ~|find ~|locate ~|look up ~", "text file database collection"),
    _concept("match ~|validate ~|verify format of ~", "text value network"),
    _concept("convert ~ to lower case|lowercase ~|downcase ~|make ~ small letters", "text"),
    _concept("cast ~ to string|convert ~ to text|stringify ~|turn ~ into str", "value collection code"),
    _concept("parse ~|read values out of ~|extract data from ~|decode ~", "text value file network"),
    _concept("format ~|pretty print ~|display ~ nicely", "text value file collection"),
    _concept("compare ~|check equality of ~|diff ~", "text value collection file code"),
    _concept("round ~|truncate ~|limit digits of ~", "value"),
    _concept("generate random ~|produce fake ~|make up random ~", "value text collection"),
    _concept("calculate difference between values of ~|subtract ~|compute delta of ~", "value collection"),
    _concept("encrypt ~|hash ~|secure ~|obfuscate ~", "network text value file"),
    _concept("read ~|load ~|open ~|import ~", "file database"),
    _concept("write ~|save ~|store ~|persist ~|export ~", "file database collection value"),
    _concept("append to ~|add to end of ~|push onto ~|insert into ~", "collection file database text"),
    _concept("rename ~|change name of ~|give another name to ~", "file database code"),
    _concept("download ~|fetch ~|retrieve ~|pull ~", "file network"),
    _concept("upload ~|send ~|post ~|submit ~", "file network"),
    _concept("serialize ~|marshal ~|dump ~", "collection code value"),
    _concept("update ~|modify ~|edit ~|change ~", "database screen file collection"),
    _concept("group ~|aggregate ~|bucket ~|partition ~", "database collection"),
    _concept("back up ~|make backup of ~|archive ~|take snapshot of ~", "database file"),
    _concept("call ~|invoke ~|execute ~|run ~", "code network"),
    _concept("pass ~ as argument|use ~ as parameter|hand over ~", "code collection value"),
    _concept("return ~|give back ~|yield ~", "collection value code"),
    _concept("mock ~|stub ~|fake ~", "code network database"),
    _concept("override ~|extend ~|inherit from ~|subclass ~", "code"),
    _concept("debug ~|trace ~|step through ~|inspect ~", "code network"),
    _concept("install ~|set up ~|configure ~", "code database"),
    _concept("hide ~|make ~ invisible|toggle visibility of ~|collapse ~", "screen"),
    _concept("center ~|align ~|position ~ in middle", "screen"),
    _concept("disable ~|gray out ~|deactivate ~", "screen code"),
    _concept("bind ~|populate ~|fill ~", "screen database"),
    _concept("style ~|change color of ~|set background of ~", "screen"),
    _concept("resize ~|scale ~|change width of ~", "screen file"),
    _concept("refresh ~|reload ~|redraw ~", "screen database network"),
    _concept("authenticate ~|log in with ~|authorize ~", "network"),
    _concept("cache ~|memoize ~|keep ~ in memory", "network database code file"),
    _concept("mirror ~|proxy ~|redirect ~|forward ~", "network"),
)

CIRCUMSTANCES = tuple(
    _concept(forms)
    for forms in (
        "without a loop|with no loops|loop free|avoiding for loop",
        "in one line|as one liner|with a single statement",
        "by two keys|on multiple fields|by several criteria",
        "in reverse order|backwards|descending|from last to first",
        "recursively|with recursion|including subfolders|at every depth",
        "ignoring case|case insensitive|case insensitively|regardless of upper or lower",
        "in parallel|concurrently|on several cores|simultaneously",
        "asynchronously|async|without blocking|in the background",
        "from the command line|in terminal|from console|via cli",
        "on Windows|win10|windows machine|under Microsoft OS",
        "on Linux|Ubuntu|under unix|debian box",
        "on a Mac|macOS|OS X|osx",
        "efficiently|fast|quickly|with good performance",
        "with little memory|without loading everything|low RAM|memory friendly",
        "without external libraries|no third party packages|builtin only|stdlib only",
        "inside a unit test|while testing|in test suite",
        "every few seconds|periodically|on a schedule|like cron job",
        "at runtime|dynamically|on the fly",
        "at compile time|statically|during build",
        "with unicode|utf-8|non ascii characters|accented letters",
        "for huge data|millions of rows|big data|very large input",
        "inside docker|in container|dockerized",
        "behind a proxy|through corporate firewall|via proxy server",
        "in place|without copying|no extra copy",
        "thread safe|with locking|synchronized|race free",
        "over https|with ssl|using tls certificate",
        "only once|a single time|exactly one time",
        "with a default value|with fallback|default when absent",
        "keeping order|preserving order|order preserving|stable",
        "by index|by position|nth element",
        "by name|by property name|through string key",
        "with null values|when some are null|containing None|nullable",
        "on page load|at startup|when application starts|on init",
        "on click|when user presses|after clicking",
        "after a delay|with timeout|wait some seconds",
        "between two dates|in date range|since last week",
        "across projects|from another project|shared between solutions",
        "on a remote server|over ssh|remotely",
        "in production|after deploy|on live server",
        "with nested fields|deeply nested|multi level",
    )
)

ERRORS = (
    _concept("NullPointerException|java.lang.NullPointerException|null pointer exception|NPE", topics=JVM),
    _concept(
        "IndexOutOfBoundsException|ArrayIndexOutOfBoundsException|index out of bounds|out of range index",
        topics=JVM,
    ),
    _concept("ClassNotFoundException|NoClassDefFoundError|class not found|missing class on classpath", topics=JVM),
    _concept("ConcurrentModificationException|modified during iteration|concurrent modification", topics=JVM),
    _concept(
        "NullReferenceException|object reference not set to an instance|System.NullReferenceException|null reference",
        topics=DOTNET,
    ),
    _concept("InvalidCastException|unable to cast object|invalid cast|System.InvalidCastException", topics=DOTNET),
    _concept("segmentation fault|segfault|SIGSEGV|access violation", topics="C++ Rust Objective-C Go"),
    _concept("undefined reference|unresolved external symbol|linker error|LNK2019", topics="C++ Rust Objective-C"),
    _concept(
        "undefined is not a function|TypeError undefined|cannot read property of undefined",
        topics="JavaScript Node.js TypeScript React jQuery Angular",
    ),
    _concept(
        "Cannot find module|module not found|MODULE_NOT_FOUND|unresolved import",
        topics="Node.js TypeScript React Angular JavaScript",
    ),
    _concept(
        "No Access-Control-Allow-Origin header|CORS error|cross origin blocked|CORS policy",
        topics="JavaScript React Angular jQuery Node.js ASP.NET Django",
    ),
    _concept("ModuleNotFoundError|ImportError|No module named", topics="Python Django"),
    _concept("KeyError|missing key|key does not exist", topics="Python Django Ruby"),
    _concept("IndexError|list index out of range|IndexError: out of range", topics="Python Django Ruby"),
    _concept("UnicodeDecodeError|codec can't decode byte|UnicodeEncodeError", topics="Python Django"),
    _concept("undefined index|undefined offset|Notice: Undefined variable", topics="PHP MySQL"),
    _concept("headers already sent|cannot modify header information|output before header", topics="PHP"),
    _concept("unrecognized selector|NSInvalidArgumentException|doesNotRespondToSelector", topics=APPLE),
    _concept("unexpectedly found nil|fatal error nil optional|EXC_BAD_INSTRUCTION", topics=APPLE),
    _concept("undefined method for nil|NoMethodError|nil:NilClass", topics="Ruby"),
    _concept("deadlock|lock wait timeout|transaction was deadlocked"),
    _concept("out of memory|OutOfMemoryError|heap space exhausted|memory leak"),
    _concept("stack overflow|StackOverflowError|maximum recursion depth|too much recursion"),
    _concept("permission denied|access denied|EACCES|not authorized"),
    _concept("connection refused|ECONNREFUSED|could not connect|host unreachable"),
    _concept("syntax error|unexpected token|parse error|SyntaxError"),
    _concept("timeout|timed out|request took too long|ETIMEDOUT"),
    _concept("404 not found|HTTP 404|page missing|route does not exist"),
    _concept("500 internal server error|HTTP 500|server side crash"),
    _concept("certificate verify failed|invalid ssl certificate|untrusted certificate|handshake failure"),
    _concept("type mismatch|incompatible types|wrong type|cannot convert types"),
    _concept("wrong encoding|garbled characters|strange symbols|mojibake"),
    _concept("division by zero|DivideByZeroException|ZeroDivisionError|divide by 0"),
    _concept("file not found|FileNotFoundException|ENOENT|no such file or directory"),
)

# `{do}` is the task with its object, `{doing}` the same with the verb in -ing, `{brief}` the same without articles;
# `{in_topic}` is "in Python", "with Python" or nothing, `{tag}` is "Python:" or nothing.
HOW_TEMPLATES = (
    "How do I {do} {circumstance} {in_topic}?",
    "How to {do} {circumstance} {in_topic}",
    "How can I {do} {in_topic} {circumstance}?",
    "Best way to {do} {circumstance} {in_topic}?",
    "What is the easiest way to {do} {circumstance} {in_topic}?",
    "Is it possible to {do} {circumstance} {in_topic}?",
    "Is there a simple way to {do} {in_topic} {circumstance}?",
    "Proper way of {doing} {circumstance} {in_topic}",
    "{tag} {brief} {circumstance}",
    "{tag} how to {do} {circumstance}",
    "{brief} {circumstance} {in_topic}",
    "{doing} {circumstance} {in_topic}",
    "{in_topic} how would you {do} {circumstance}?",
    "{circumstance}: {doing} {in_topic}",
    "I need to {do} {circumstance} {in_topic}, what should I use?",
    "Example code for {doing} {circumstance} {in_topic}",
    "Trouble {doing} {in_topic} {circumstance}",
    "{tag} can't {do} {circumstance}, what works?",
)

ERROR_TEMPLATES = (
    "Why do I get {error} when I {do} {in_topic}?",
    "{error} when {doing} {in_topic}",
    "{error} while {doing} {in_topic}",
    "How to fix {error} when {doing} {in_topic}?",
    "{tag} {error} {doing}",
    "What does {error} mean? {doing} {in_topic}",
    "{doing} {in_topic} gives {error}",
    "{doing} {in_topic} fails: {error}",
    "Getting {error} {in_topic} as soon as I {do}",
    "{in_topic} trying to {do} but {error}",
    "How do I avoid {error} if I {do} {in_topic}?",
    "{tag} {brief} throws {error}",
)

DIFFERENCE_TEMPLATES = (
    "What is the difference between {thing} and {other} {in_topic}?",
    "Difference between {other} and {thing} {in_topic}",
    "{brief_thing} vs {brief_other} {in_topic}",
    "{tag} {brief_other} versus {brief_thing}",
    "When to use {thing} instead of {other} {in_topic}?",
    "Should I prefer {other} or {thing} {in_topic}?",
    "{tag} choose {thing} or {other}?",
    "{brief_thing} compared with {brief_other} {in_topic}",
    "Which one is better {in_topic}: {thing} or {other}?",
)

IN_TOPIC = ("in {topic}", "in {topic}", "with {topic}", "using {topic}", "for {topic}")
TAGS = ("{topic}:", "{topic} -", "[{topic}]", "{topic}")

# Frequent words without meaning, which only weights by frequency can discount.
OPENINGS = (
    "Question:",
    "Quick question:",
    "Beginner question:",
    "Code question:",
    "Problem:",
    "Strange problem:",
    "Code problem:",
    "Please help,",
)
ENDINGS = (
    "- example code?",
    "- any working example?",
    "- working code please",
    "- code example please",
    "- please help",
    "- code not working",
    "(beginner question)",
    "(working example needed)",
    "- best way?",
    "- what is the problem?",
)
