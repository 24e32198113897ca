using System.Diagnostics;
using DualSparse.Distributed.Mpi;

namespace DualSparse.Distributed;

/// <summary>
/// Starts this program several times by MPI's own launcher, and sees to it that all of them end: a launcher can hang where a rank is lost.
/// </summary>
internal static class RankLauncher
{
    /// <summary>The exit code where the user interrupted: what shells give a program that SIGINT ended.</summary>
    public const int Interrupted = 130;

    /// <summary>The exit code where nobody reads the output any more: the same of SIGPIPE.</summary>
    public const int Unread = 141;

    // From a rank's sentence, or an interrupt, until what is left is killed.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    // A terminal's Ctrl-C goes to the launcher too, which takes a second over it, and takes a second signal for impatience.
    private static readonly TimeSpan OwnWay = TimeSpan.FromSeconds(1.5);

    // Ranks of the slowest machines, over ssh, meet within some seconds.
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);

    // What a process that was left behind elsewhere may still write is nothing to wait for.
    private static readonly TimeSpan Drain = TimeSpan.FromSeconds(1);

    // A terminal's Ctrl-C goes to ranks and to this process at once, and on a busy machine they may hear it first.
    private static readonly TimeSpan Hearing = TimeSpan.FromMilliseconds(300);

    /// <summary>Runs a program as ranks to their end.</summary>
    /// <param name="command">The program and its arguments.</param>
    /// <param name="ranks">How many.</param>
    /// <param name="hosts">Where, in turn; empty: here.</param>
    /// <param name="output">Receives what rank 0 prints.</param>
    /// <param name="unread">Whether nobody reads <paramref name="output"/> any more.</param>
    /// <param name="errors">Receives the ranks' standard error, line by line.</param>
    /// <param name="cancel">Ends them.</param>
    /// <returns>The exit code: rank 0's own, 1 where a rank failed, 70 where one was lost, 130 where they were interrupted, 141 where the output is unread.</returns>
    /// <exception cref="MpiException">There is no launcher, or it can't be started.</exception>
    /// <exception cref="IOException">What rank 0 prints can't be written; the ranks have ended.</exception>
    public static int Run(
        IReadOnlyList<string> command, int ranks, IReadOnlyList<string> hosts, Stream output, Func<bool> unread, TextWriter errors, CancellationToken cancel)
    {
        var launcher = MpiLauncher.Find();
        var start = new ProcessStartInfo(launcher.Program) { RedirectStandardError = true, RedirectStandardOutput = true };
        foreach (string argument in launcher.Arguments(ranks, hosts, RankErrors.Variable).Concat(command))
            start.ArgumentList.Add(argument);
        // A launcher's own terminal isn't one for the ranks: they would draw into it.
        start.Environment["TERM"] = "dumb";
        start.Environment["OMPI_ALLOW_RUN_AS_ROOT"] = start.Environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
        start.Environment[RankErrors.Variable] = "1";
        using var process = Process.Start(start) ?? throw new MpiException($"{launcher.Program} can't be started");
        var said = new RankErrors(errors);
        using var end = new RankEnd(process);
        using var interrupted = cancel.Register(() => end.Soon(OwnWay, Grace));
        var reading = Task.Run(() => ReadErrors(process.StandardError, said, end));
        var relayed = new OutputRelay(output, LauncherText.Marks(launcher.Kind));
        var relay = Task.Run(() => Relay(process.StandardOutput.BaseStream, relayed, unread, end));
        if (!end.WaitFor(StartLimit, () => said.HaveMet || said.Said))
        {
            said.Conclude($"the ranks haven't met within {StartLimit.TotalSeconds:0} s of {launcher.Program}'s start{Because(said)}: see that each host can be reached by ssh without a password, and the others from it");
            end.Soon(TimeSpan.Zero, Grace);
        }

        end.Wait();
        bool whole = process.ExitCode == 0 && !said.Said;
        Task.WaitAll([relay.ContinueWith(_ => { }, TaskScheduler.Default), reading], whole ? Timeout.InfiniteTimeSpan : Drain);
        if (whole ? cancel.IsCancellationRequested : cancel.WaitHandle.WaitOne(Hearing))
            return Interrupted;
        if (relay.IsFaulted)
            relay.GetAwaiter().GetResult();
        if (relay.IsCompletedSuccessfully && !relay.Result)
            return Unread;
        return Code(process.ExitCode, launcher, said, relayed.Rest);
    }

    // What the launcher ends with depends on which rank it saw end first.
    private static int Code(int ended, MpiLauncher launcher, RankErrors said, string page)
    {
        int? signal = launcher.Signal(ended);
        if (!said.Said && !said.HaveMet && ended != 0 && signal is null)
        {
            said.Conclude($"{launcher.Program} couldn't start the ranks{Because(said)}");
            return 1;
        }

        if (!said.Said && ended is not (0 or 1))
        {
            said.Conclude($"{said.FirstEnded(page) ?? "a rank"} was lost: {(signal is null ? $"{launcher.Program} ended with {ended}" : $"signal {signal} ended it")}");
            return PeerLostException.ExitCode;
        }

        return said.Lost ? PeerLostException.ExitCode : said.Said ? 1 : ended;
    }

    private static string Because(RankErrors said) => said.Reason is { } reason ? $" ({reason.TrimEnd('.', '\r')})" : "";

    private static void ReadErrors(StreamReader from, RankErrors said, RankEnd end)
    {
        while (from.ReadLine() is { } line)
        {
            said.Take(line);
            if (said.Said || said.GaveUp)
                end.Soon(Grace, TimeSpan.Zero);
        }
    }

    // As it comes, up to the launcher's own text. False: nobody reads it.
    private static bool Relay(Stream from, OutputRelay relay, Func<bool> unread, RankEnd end)
    {
        try
        {
            byte[] buffer = new byte[64 << 10];
            for (int read; (read = from.Read(buffer)) > 0;)
            {
                relay.Write(buffer.AsSpan(0, read));
                if (unread())
                {
                    end.Soon(TimeSpan.Zero, Grace);
                    return false;
                }
            }

            relay.Finish();
            return true;
        }
        catch (IOException)
        {
            end.Soon(TimeSpan.Zero, Grace);
            throw;
        }
    }
}
