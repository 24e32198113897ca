using System.Runtime.InteropServices;

namespace DualSparse.Cli.Hosting;

/// <summary>While it lives, the first Ctrl-C or request to end cancels <see cref="Token"/>; a second one ends the program at once.</summary>
internal sealed class Interrupt : IDisposable
{
    private readonly CancellationTokenSource source = new();
    private readonly PosixSignalRegistration[] registrations;

    public Interrupt() => registrations = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP }
        .Select(kind => PosixSignalRegistration.Create(kind, signal =>
        {
            signal.Cancel = !source.IsCancellationRequested;
            source.Cancel();
        }))];

    public CancellationToken Token => source.Token;

    public void Dispose()
    {
        foreach (var registration in registrations)
            registration.Dispose();
        source.Dispose();
    }
}
