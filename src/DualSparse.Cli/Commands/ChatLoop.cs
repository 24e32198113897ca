using System.Diagnostics;
using System.Globalization;
using System.Text;
using DualSparse.Cli.Hosting;
using DualSparse.Engine;
using DualSparse.Engine.Serving;
using DualSparse.Models;
using DualSparse.Models.Text.Templates;

namespace DualSparse.Cli.Commands;

/// <summary>Messages in, answers out, line by line; lines that begin with / are for the program.</summary>
/// <param name="conversation">The conversation.</param>
/// <param name="input">Where messages come from.</param>
/// <param name="output">Where answers go.</param>
/// <param name="errors">Where figures go, and what is said beside answers.</param>
/// <param name="unread">Whether nobody reads the output any more.</param>
internal sealed class ChatLoop(Conversation conversation, TextReader input, TextWriter output, TextWriter errors, Func<bool> unread)
{
    private const string Help = """
        /drop 0.25      skip this share of the routed experts' work; 0: nothing
        /max-kl 0.003   skip as much as keeps the expected loss within this
        /image FILE     show the model this picture, with the next message
        /system TEXT    tell the model this before all else; without a text: nothing
        /reset          begin anew
        /exit           end, as Ctrl-D does; Ctrl-C stops an answer
        A line that ends with \ goes on in the next one. A message that begins with / has a space before it.
        """;

    /// <summary>Runs to <c>/exit</c> or the input's end.</summary>
    /// <returns>The exit code.</returns>
    public int Run()
    {
        bool typed = Terminal.Is(errors) && !Console.IsInputRedirected;
        using var interrupt = new AnswerInterrupt(() =>
        {
            errors.WriteLine();
            errors.WriteLine("Ctrl-C again ends the program");
        });
        if (typed)
            errors.WriteLine("/help says what there is");
        while (true)
        {
            if (typed)
                errors.Write("> ");
            if (ReadMessage() is not { } line)
                return 0;
            if (line.Trim() is "/exit" or "/quit")
                return 0;
            if (line.StartsWith('/'))
                Try(() => Obey(line));
            else if (line.Trim().Length > 0 && !Try(() => Answer(line, interrupt)))
                return CommandHost.Unread;
        }
    }

    // A message, of one line or several; null: there is no more.
    private string? ReadMessage()
    {
        string? line = input.ReadLine();
        var message = new StringBuilder();
        while (line is ['\\'] or [.., '\\'])
        {
            message.Append(line.AsSpan(0, line.Length - 1)).Append('\n');
            line = input.ReadLine();
        }

        return line is null && message.Length == 0 ? null : message.Append(line).ToString();
    }

    // What goes wrong is said; the conversation goes on.
    private bool Try(Func<bool> work)
    {
        try
        {
            return work();
        }
        catch (Exception e) when (e is ArgumentException or ChatTemplateException or ModelFormatException or InsufficientMemoryException)
        {
            CommandHost.Tell(errors, CommandHost.Sentence(e));
            return true;
        }
    }

    private bool Obey(string line)
    {
        string word = line.Split(' ', 2)[0], rest = line[word.Length..].Trim();
        switch (word)
        {
            case "/help":
                errors.WriteLine(Help);
                break;
            case "/drop":
                Turn(rest.Length == 0 ? null : Number(rest) is >= 0 and < 1 and { } rate ? new DropRequest { Rate = rate } : throw new ArgumentException($"/drop is '{rest}', expected a number from 0 to below 1"));
                break;
            case "/max-kl":
                Turn(rest.Length == 0 ? null : Number(rest) is > 0 and { } kl ? new DropRequest { MaxKl = kl } : throw new ArgumentException($"/max-kl is '{rest}', expected nats a token, more than 0"));
                break;
            case "/image":
                conversation.Attach(rest.Length > 0 ? rest : throw new ArgumentException("/image names no file, expected a PNG or JPEG file"));
                errors.WriteLine("shown with the next message");
                break;
            case "/system":
                conversation.System = rest.Length == 0 ? null : rest;
                errors.WriteLine(rest.Length == 0 ? "no system message" : "told before all else, from the next answer on");
                break;
            case "/reset":
                conversation.Reset();
                errors.WriteLine("begun anew");
                break;
            default:
                throw new ArgumentException($"there is no '{word}'; /help says what there is");
        }

        return true;
    }

    private void Turn(DropRequest? request)
    {
        request ??= conversation.Session.Drop;
        var loss = conversation.SetDrop(request);
        errors.WriteLine(request switch
        {
            { IsNone: true } => "nothing is dropped",
            { Rate: { } rate } => $"{rate:0.#%} of the routed experts' work is to be dropped{Loss(loss)}",
            { MaxKl: { } kl } => $"as much is dropped as keeps the KL within {kl:0.####} nats a token{Loss(loss)}",
            _ => $"dropped by thresholds{Loss(loss)}",
        });
    }

    private static string Loss(ExpectedLoss? loss) => loss is null
        ? "; the loss is unknown: 'dualsparse sparsify' measures it"
        : $"; expected KL {Figures.Show(loss.Kl, "0.0000")} nats a token, other words {Figures.Show(loss.Flips.Value, "0.0%")} of the time";

    private static double? Number(string text) => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) ? value : null;

    // False: nobody reads it.
    private bool Answer(string message, AnswerInterrupt interrupt)
    {
        var session = conversation.Session;
        var before = session.Dropped;
        var text = new StringBuilder();
        int tokens = 0, prompt = 0;
        long started = 0;
        string end = "";
        try
        {
            var answer = Asked(message, interrupt.Begin());
            prompt = session.Ids.Length - session.CachedTokens;
            foreach (var token in answer)
            {
                // The first one's time is the prompt's.
                if (tokens++ == 0)
                    started = Stopwatch.GetTimestamp();
                text.Append(token.Text);
                output.Write(token.Text);
                if (unread())
                    return false;
            }

            end = answer.Summary.Finish switch
            {
                FinishReason.ContextFull => $" · the context of {session.ContextTokens} tokens is full: /reset begins anew",
                FinishReason.MaxTokens => $" · ended by -n {tokens}",
                _ => "",
            };
        }
        catch (OperationCanceledException)
        {
            end = " · stopped";
        }
        finally
        {
            interrupt.End();
        }

        output.WriteLine();
        conversation.Answered(text.ToString());
        double seconds = tokens > 1 ? Stopwatch.GetElapsedTime(started).TotalSeconds : 0;
        string speed = seconds > 0 ? $", {(tokens - 1) / seconds:0} tokens/s" : "";
        errors.WriteLine($"{prompt} new tokens of {session.Ids.Length - tokens} read · {tokens} written{speed}{Dropped(before, session)}{end}");
        return true;
    }

    private Generation Asked(string message, CancellationToken cancel)
    {
        try
        {
            return conversation.Ask(message, cancel);
        }
        catch (ArgumentException e) when (conversation.Messages > 0)
        {
            throw new ArgumentException($"{CommandHost.Sentence(e)}; the message is left out: /reset begins anew");
        }
    }

    // Of this answer and what was read for it alone.
    private static string Dropped(DropCounts before, Session session)
    {
        if (session.Drop.IsNone)
            return "";
        long all = session.Dropped.Neurons - before.Neurons, computed = session.Dropped.NeuronsComputed - before.NeuronsComputed;
        string loss = session.Expected is { } expected ? $", expected KL {expected.Kl.Value:0.0000} nats a token" : "";
        return all == 0 ? "" : $" · dropped {1 - (double)computed / all:0.0%}{loss}";
    }
}
