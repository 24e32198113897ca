using System.Runtime.InteropServices;

namespace DualSparse.Cli.Hosting;

/// <summary>
/// Ctrl-C in a conversation: it stops the answer and not the program. Where no answer is under way the first one is answered by a hint and
/// the second ends the program, as one does that comes while an answer is already being stopped. A request to end does so at once.
/// </summary>
internal sealed class AnswerInterrupt : IDisposable
{
    private readonly Lock guard = new();
    private readonly Action hint;
    private readonly IDisposable signals;
    private CancellationTokenSource? answer;
    private bool hinted;

    public AnswerInterrupt(Action hint)
    {
        this.hint = hint;
        signals = Interrupt.Take(signal =>
        {
            signal.Cancel = true;
            if (signal.Signal != PosixSignal.SIGINT || !Stop())
                Environment.Exit(CommandHost.Interrupted);
        });
    }

    /// <summary>Says that an answer begins.</summary>
    /// <returns>What Ctrl-C cancels until <see cref="End"/>.</returns>
    public CancellationToken Begin()
    {
        lock (guard)
        {
            answer = new CancellationTokenSource();
            return answer.Token;
        }
    }

    /// <summary>Says that the answer is over.</summary>
    public void End()
    {
        lock (guard)
        {
            answer?.Dispose();
            (answer, hinted) = (null, false);
        }
    }

    /// <summary>Ctrl-C, or what stands for it.</summary>
    /// <returns>Whether the program goes on.</returns>
    internal bool Stop()
    {
        lock (guard)
        {
            if (answer is { IsCancellationRequested: false })
            {
                answer.Cancel();
                return true;
            }

            if (answer is not null || hinted)
                return false;
            hinted = true;
        }

        hint();
        return true;
    }

    public void Dispose() => signals.Dispose();
}
