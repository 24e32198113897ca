namespace DualSparse.Benchmarks.Wiring;

/// <summary>A trained variant.</summary>
/// <param name="Variant">Which.</param>
/// <param name="Seed">The seed of its first values and of the order of windows.</param>
/// <param name="Seconds">How long it trained.</param>
/// <param name="Losses">Its loss on each text, in nats a token.</param>
internal sealed record WiringRun(WiringVariant Variant, int Seed, double Seconds, IReadOnlyDictionary<string, double> Losses);
