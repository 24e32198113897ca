using System.Runtime.InteropServices;

namespace DualSparse.Cli.Hosting;

/// <summary>While it lives, the first Ctrl-C or request to end cancels <see cref="Token"/>; a second one ends the program at once.</summary>
internal sealed class Interrupt : IDisposable
{
    private static int s_living;

    private readonly CancellationTokenSource source = new();
    private readonly IDisposable registrations;

    public Interrupt() => registrations = Take(signal =>
    {
        signal.Cancel = !source.IsCancellationRequested;
        source.Cancel();
    });

    public CancellationToken Token => source.Token;

    /// <summary>
    /// Where no <see cref="Interrupt"/> lives, a signal ends the process with <see cref="CommandHost.Interrupted"/> by way of the runtime, which
    /// then deletes the pipes that it keeps in the temporary folder.
    /// </summary>
    public static IDisposable EndProcess() => On(signal =>
    {
        if (Volatile.Read(ref s_living) > 0)
            return;
        signal.Cancel = true;
        Environment.Exit(CommandHost.Interrupted);
    });

    /// <summary>Takes signals over from <see cref="EndProcess"/> until it is disposed.</summary>
    public static IDisposable Take(Action<PosixSignalContext> act)
    {
        var taken = On(act, () => Interlocked.Decrement(ref s_living));
        Interlocked.Increment(ref s_living);
        return taken;
    }

    public void Dispose()
    {
        registrations.Dispose();
        source.Dispose();
    }

    private static Registrations On(Action<PosixSignalContext> act, Action? after = null) =>
        new([.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP }.Select(kind => PosixSignalRegistration.Create(kind, act))], after);

    private sealed class Registrations(PosixSignalRegistration[] all, Action? after) : IDisposable
    {
        public void Dispose()
        {
            after?.Invoke();
            foreach (var registration in all)
                registration.Dispose();
        }
    }
}
