using DualSparse.Evaluation;

namespace DualSparse.Tests.Evaluation;

/// <summary>The windows of held-out text that tests/golden/eval has figures of.</summary>
internal static class HeldOutText
{
    /// <summary>A set, "books" or "tech", or its first windows.</summary>
    public static TextWindows Of(string set, int windows = 48) =>
        TextWindows.ReadIds(TestPaths.Golden("eval", "windows.safetensors"), windows).Single(t => t.Name == set);
}
