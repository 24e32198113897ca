namespace DualSparse.Kernels.Threading;

/// <summary>Lets one thread sleep until a condition holds; a thread that makes it true calls <see cref="Wake"/> afterwards.</summary>
internal sealed class Sleeper : IDisposable
{
    private readonly SemaphoreSlim wake = new(0);
    private int asleep;

    /// <summary>Wakes the thread if it sleeps; costs one atomic exchange if it doesn't. What the caller wrote before is visible to it.</summary>
    public void Wake()
    {
        if (Interlocked.Exchange(ref asleep, 0) == 1)
            wake.Release();
    }

    /// <summary>Sleeps until the condition holds. For one thread only.</summary>
    /// <remarks>
    /// The condition is read after "asleep" has been announced, and a waker announces after making it true: one of them sees the other.
    /// Each announcement is withdrawn exactly once: by the waker, which then releases once, or by the sleeper.
    /// </remarks>
    public void SleepUntil<T>(Func<T, bool> condition, T argument)
    {
        while (true)
        {
            Interlocked.Exchange(ref asleep, 1);
            if (!condition(argument))
            {
                wake.Wait();
                if (condition(argument))
                    return;
            }
            else
            {
                if (Interlocked.Exchange(ref asleep, 0) == 0)
                    wake.Wait();
                return;
            }
        }
    }

    public void Dispose() => wake.Dispose();
}
