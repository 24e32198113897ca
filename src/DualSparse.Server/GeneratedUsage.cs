using DualSparse.Engine;
using DualSparse.Engine.Serving.Batching;
using DualSparse.Server.Protocol;

namespace DualSparse.Server;

/// <summary>What the requests of one call took together.</summary>
/// <param name="PromptTokens">Tokens of the prompts.</param>
/// <param name="CachedTokens">Of these, those whose keys and values were there.</param>
/// <param name="GeneratedTokens">Tokens generated.</param>
/// <param name="Dropped">The routed experts' work.</param>
/// <param name="Expected">The loss to expect of what was dropped; null: not known.</param>
/// <param name="Asked">What was asked for.</param>
internal sealed record GeneratedUsage(int PromptTokens, int CachedTokens, int GeneratedTokens, DropCounts Dropped, ExpectedLoss? Expected, DropRequest Asked)
{
    /// <summary>Sums requests that have ended.</summary>
    public static GeneratedUsage Of(IReadOnlyList<RequestStream> streams, DialSetting setting)
    {
        RequestUsage[] all = [.. streams.Select(stream => stream.Usage)];
        return new GeneratedUsage(
            all.Sum(u => u.PromptTokens), all.Sum(u => u.CachedTokens), all.Sum(u => u.GeneratedTokens),
            all.Aggregate(default(DropCounts), (sum, u) => sum + u.Dropped), setting.Request.IsNone ? setting.Expected : Mean(all) ?? setting.Expected, setting.Request);
    }

    /// <summary>As an answer tells it.</summary>
    public Usage ToUsage() => new(PromptTokens, GeneratedTokens, PromptTokens + GeneratedTokens, new PromptTokensDetails(CachedTokens),
        new DialUsage(Dropped.Rate, Expected?.Kl.Value)
        {
            RequestedDrop = Asked.IsNone ? 0 : Asked.Rate,
            RequestedMaxKl = Asked.MaxKl,
            ExpectedKlInterval = Expected is { } loss ? [loss.Kl.Low, loss.Kl.High] : null,
            ExpectedFlips = Expected?.Flips.Value,
        });

    // A loss is one a token: the mean over all tokens is that of the requests, each as long as it is.
    private static ExpectedLoss? Mean(IReadOnlyList<RequestUsage> all)
    {
        if (all.Count == 1 || all.Any(u => u.Expected is null))
            return all.Count == 1 ? all[0].Expected : null;
        double total = all.Sum(Tokens);
        return new ExpectedLoss(Of(l => l.Kl), Of(l => l.DeltaNll), Of(l => l.Flips));

        Interval Of(Func<ExpectedLoss, Interval> part) => new(Over(i => i.Value, part), Over(i => i.Low, part), Over(i => i.High, part));
        double Over(Func<Interval, double> value, Func<ExpectedLoss, Interval> part) => all.Sum(u => value(part(u.Expected!)) * Tokens(u)) / Math.Max(1, total);
        static double Tokens(RequestUsage usage) => usage.PromptTokens + usage.GeneratedTokens;
    }
}
