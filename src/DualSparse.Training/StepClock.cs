using System.Diagnostics;

namespace DualSparse.Training;

/// <summary>The time of a run.</summary>
/// <param name="before">Seconds that earlier processes took.</param>
internal sealed class StepClock(double before)
{
    // What a new step counts for in the mean: the last twenty or so make it up.
    private const double Newest = 0.1;

    private readonly long began = Stopwatch.GetTimestamp();
    private long step, last, save = Stopwatch.GetTimestamp();
    private double? mean;

    /// <summary>Seconds of the run until now.</summary>
    public double Seconds => before + Stopwatch.GetElapsedTime(began).TotalSeconds;

    /// <summary>Seconds since a checkpoint was written, or since the process began.</summary>
    public double SinceSave => Stopwatch.GetElapsedTime(save).TotalSeconds;

    /// <summary>A step begins.</summary>
    public void Start()
    {
        step = Stopwatch.GetTimestamp();
        // From one step's beginning to the next's: with all that happens in between.
        double whole = last == 0 ? 0 : Stopwatch.GetElapsedTime(last, step).TotalSeconds;
        if (last != 0)
            mean = mean is { } old ? old + Newest * (whole - old) : whole;
        last = step;
    }

    /// <summary>A step has ended.</summary>
    /// <returns>Its seconds.</returns>
    public double EndStep() => Math.Max(1e-9, Stopwatch.GetElapsedTime(step).TotalSeconds);

    /// <summary>A checkpoint was written.</summary>
    public void Saved() => save = Stopwatch.GetTimestamp();

    /// <summary>How long so many steps will take.</summary>
    public TimeSpan Remaining(int steps) => TimeSpan.FromSeconds(Math.Min(1e9, steps * (mean ?? Stopwatch.GetElapsedTime(step).TotalSeconds)));
}
