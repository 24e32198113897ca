namespace DualSparse.Tests;

/// <summary>Tests that take minutes: a part of them, or a cover, runs always.</summary>
internal static class SlowTests
{
    /// <summary>The environment variable that runs all of them, if it is 1.</summary>
    public const string Variable = "DUALSPARSE_SLOW";

    /// <summary>Whether all of them run.</summary>
    public static bool Run { get; } = Environment.GetEnvironmentVariable(Variable) == "1";

    /// <summary>Skips the test where they don't.</summary>
    /// <param name="slow">Whether this case is one of them.</param>
    public static void Require(bool slow = true) => Assert.SkipWhen(slow && !Run, $"takes minutes: {Variable}=1 runs it");
}
