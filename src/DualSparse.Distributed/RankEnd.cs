using System.Diagnostics;
using DualSparse.Distributed.Mpi;

namespace DualSparse.Distributed;

/// <summary>The end of a launcher and its ranks: asked for, then brought about.</summary>
internal sealed class RankEnd(Process process) : IDisposable
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(50);

    private readonly Lock changing = new();
    private long? askAt, killAt;

    /// <summary>Ends what hasn't ended by then; the earliest of several calls counts.</summary>
    /// <param name="ask">From now until the launcher is asked to end, by SIGTERM.</param>
    /// <param name="kill">From then until all are killed.</param>
    public void Soon(TimeSpan ask, TimeSpan kill)
    {
        long asked = Environment.TickCount64 + (long)ask.TotalMilliseconds;
        lock (changing)
        {
            askAt = Math.Min(askAt ?? long.MaxValue, asked);
            killAt = Math.Min(killAt ?? long.MaxValue, asked + (long)kill.TotalMilliseconds);
        }
    }

    /// <summary>Waits until something holds, or the launcher has ended, or is to.</summary>
    /// <returns>Whether that was within a time.</returns>
    public bool WaitFor(TimeSpan limit, Func<bool> holds)
    {
        for (long started = Environment.TickCount64; Environment.TickCount64 - started < limit.TotalMilliseconds;)
        {
            if (holds() || Step())
                return true;
        }

        return false;
    }

    /// <summary>Waits until the launcher has ended.</summary>
    public void Wait()
    {
        while (!Step())
        {
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Whatever went wrong here, nothing is left.
        if (!process.HasExited)
            Kill();
    }

    // One look; true where it has ended. Not the wait of .NET that goes on until its pipes are closed: a rank that is cut off holds them.
    private bool Step()
    {
        if (process.WaitForExit(Look))
            return true;
        long now = Environment.TickCount64;
        bool kill, ask;
        lock (changing)
        {
            kill = now >= killAt;
            ask = now >= askAt;
            askAt = ask ? null : askAt;
        }

        if (kill)
            Kill();
        else if (ask)
            CLibrary.AskToEnd(process.Id);
        return false;
    }

    private void Kill()
    {
        try
        {
            process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // It has ended by itself.
        }
    }
}
