using System.Runtime.InteropServices;

namespace DualSparse.Cli.Hosting;

/// <summary>While it lives, the first Ctrl-C cancels <see cref="Token"/>; a second one ends the program at once.</summary>
internal sealed class Interrupt : IDisposable
{
    private readonly CancellationTokenSource source = new();
    private readonly PosixSignalRegistration registration;

    public Interrupt() => registration = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal =>
    {
        signal.Cancel = !source.IsCancellationRequested;
        source.Cancel();
    });

    public CancellationToken Token => source.Token;

    public void Dispose()
    {
        registration.Dispose();
        source.Dispose();
    }
}
