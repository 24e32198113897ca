using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Unicode;
using DualSparse.Distributed;

namespace DualSparse.Cli.Hosting;

/// <summary>Runs a command: 0 if it went well, 1 with one sentence if not, 130 if the user interrupted it; or what the command says.</summary>
internal static class CommandHost
{
    /// <summary>The environment variable that, set to 1, shows where an error came from.</summary>
    public const string TraceVariable = "DUALSPARSE_TRACE";

    /// <summary>For a command that can't be run, or fails.</summary>
    public const int Failed = 1;

    /// <summary>For a command that ends because nobody reads its output any more: what shells give a program that SIGPIPE ended, 128 + 13.</summary>
    public const int Unread = RankLauncher.Unread;

    /// <summary>For a command that the user interrupted: the same of SIGINT, 128 + 2.</summary>
    public const int Interrupted = RankLauncher.Interrupted;

    /// <summary>Runs a command as this process: on its standard output and error.</summary>
    public static int Run(RootCommand root, string[] args)
    {
        using var signals = Interrupt.EndProcess();
        var errors = new SideWriter(Console.Error);
        if (!Directory.Exists("."))
            return Fail(errors, "the current folder isn't there any more, or can't be read: change to one that is");
        if (Lost(args) is { } lost)
            return Fail(errors, $"the argument '{lost}' is not valid UTF-8: convert it, or give a text by -f FILE");
        if (!OperatingSystem.IsWindows())
            return Run(root, args, Console.Out, errors);
        // UTF-8 for files and pipes as elsewhere, and for the console, whose code page outlives us.
        var before = Console.OutputEncoding;
        Console.OutputEncoding = Encoding.UTF8;
        try
        {
            return Run(root, args, Console.Out, errors);
        }
        finally
        {
            Console.OutputEncoding = before;
        }
    }

    /// <summary>Runs a command that writes what it would print to <paramref name="output"/>, what it would say beside it to <paramref name="errors"/>.</summary>
    public static int Run(RootCommand root, string[] args, TextWriter output, TextWriter errors)
    {
        // Numbers are read and written with a point, whatever the user's language.
        var culture = CultureInfo.CurrentCulture;
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        try
        {
            return Invoke(root, args, output, errors);
        }
        finally
        {
            CultureInfo.CurrentCulture = culture;
        }
    }

    // .NET puts U+FFFD in the place of bytes that are no UTF-8: the system still has them, where it tells.
    private static string? Lost(string[] args)
    {
        const string CommandLine = "/proc/self/cmdline";
        string? suspect = args.FirstOrDefault(a => a.Contains('\uFFFD'));
        return suspect is not null && File.Exists(CommandLine) && !Utf8.IsValid(File.ReadAllBytes(CommandLine)) ? suspect : null;
    }

    private static int Invoke(RootCommand root, string[] args, TextWriter output, TextWriter errors)
    {
        // A prompt may begin with @, which would else name a file of arguments.
        var parsed = root.Parse(args is [] ? ["--help"] : args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.CommandResult.Command == root && parsed.UnmatchedTokens is [var stray, ..])
            return Fail(errors, $"there is no command or option '{stray}'; 'dualsparse --help' says what there is");
        if (UnknownOption.Find(parsed, args) is { } unknown)
            return Fail(errors, unknown);
        if (parsed.Errors is [var first, ..])
            return Fail(errors, $"{ParseMistake.Sentence(parsed) ?? first.Message.TrimEnd('.')}; '{ParseMistake.Help(parsed)}' says what there is");

        try
        {
            return parsed.Invoke(new InvocationConfiguration { Output = output, Error = errors, EnableDefaultExceptionHandler = false });
        }
        catch (OperationCanceledException)
        {
            return Interrupted;
        }
        catch (Exception e)
        {
            return Fail(errors, Environment.GetEnvironmentVariable(TraceVariable) == "1" ? e.ToString() : Sentence(e));
        }
    }

    private static int Fail(TextWriter errors, string message)
    {
        try
        {
            Tell(errors, message);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Standard output is full or closed, or standard error is: the exit code has to say it.
        }

        return Failed;
    }

    /// <summary>Writes a sentence after the program's name.</summary>
    public static void Tell(TextWriter errors, string message)
    {
        const string name = "dualsparse: ";
        if (!Terminal.Is(errors) || Environment.GetEnvironmentVariable("NO_COLOR") is not (null or ""))
        {
            // At once: whoever ends ranks may do so in the middle of a line.
            errors.WriteLine(name + message);
            return;
        }

        Console.ForegroundColor = ConsoleColor.Red;
        errors.Write(name);
        Console.ResetColor();
        errors.WriteLine(message);
    }

    /// <summary>An exception in one sentence: what the team's threads throw comes wrapped; what the framework throws adds the parameter's name and lines of detail.</summary>
    public static string Sentence(Exception e)
    {
        while (e is AggregateException { InnerException: { } inner })
            e = inner;
        string line = e.Message.Split('\n')[0].TrimEnd('\r', '.');
        int parameter = line.IndexOf(" (Parameter '", StringComparison.Ordinal);
        return e is OutOfMemoryException and not InsufficientMemoryException ? "there is not enough memory" : parameter < 0 ? line : line[..parameter];
    }
}
