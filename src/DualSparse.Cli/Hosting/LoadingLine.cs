using System.Diagnostics;
using DualSparse.Engine;

namespace DualSparse.Cli.Hosting;

/// <summary>"loading 43 %" on a terminal, for models that take long enough to wonder.</summary>
internal sealed class LoadingLine(TextWriter errors) : IProgress<LoadProgress>, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(0.5);
    private readonly long started = Stopwatch.GetTimestamp();
    private int shown = -1;

    public void Report(LoadProgress value)
    {
        int percent = (int)(100 * value.DoneBytes / Math.Max(1, value.TotalBytes));
        if (!Terminal.Is(errors) || percent == shown || Stopwatch.GetElapsedTime(started) < Patience)
            return;
        shown = percent;
        errors.Write($"\rloading {percent} %");
    }

    /// <summary>Wipes the line.</summary>
    public void Dispose()
    {
        if (shown >= 0)
            errors.Write("\r             \r");
    }
}
