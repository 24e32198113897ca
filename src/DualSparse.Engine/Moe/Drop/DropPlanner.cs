using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Engine.Moe.Drop;

/// <summary>Makes the plans of one model: thresholds for a rate or a loss come from its dualsparse.json. Thread-safe.</summary>
/// <param name="checkpoint">The model.</param>
/// <param name="reordered">Whether its neurons were loaded in another order than the checkpoint's.</param>
internal sealed class DropPlanner(Checkpoint checkpoint, bool reordered)
{
    // Plans with the same method share one, so that a text's thresholds persist from plan to plan.
    private readonly Dictionary<(string? Name, float Delta), FollowedMethod> followed = [];
    private readonly Lock reading = new();
    private IReadOnlyList<DropMethod>? profile;
    private IReadOnlyList<Compensation?>? stored;

    private string ProfilePath => Path.Combine(checkpoint.Folder, DropProfile.FileName);

    /// <summary>Makes a plan.</summary>
    /// <param name="request">The request.</param>
    /// <param name="means">By layer, the mean compensation for <see cref="DropRequest.Compensate"/>; null: that of the checkpoint's folder.</param>
    /// <exception cref="ArgumentException">
    /// The request doesn't fit the model, there is no such method, the rate exceeds its highest, no drop within that loss is known, or
    /// prompt and generated tokens adapt by different methods, δ or guards.
    /// </exception>
    /// <exception cref="ModelFormatException">dualsparse.json or the means are damaged, or are of another model.</exception>
    public DropPlan Plan(DropRequest request, IReadOnlyList<Compensation?>? means = null)
    {
        request.Check(checkpoint.Config.Layers, checkpoint.Config.Moe?.Experts ?? 0);
        lock (reading)
        {
            var prompt = Resolve(request);
            var generated = request.Generated is { } own ? Resolve(own) : prompt;
            if (prompt.Followed is not null && generated.Followed is not null && (prompt.Followed != generated.Followed || prompt.Request.Guard != generated.Request.Guard))
                throw new ArgumentException("the drop rates of prompt and generated tokens use the same scores: give both the same method, δ and guard");
            if (prompt.Request.Compensate || generated.Request.Compensate)
                means ??= stored ??= CompensationFile.Read(checkpoint, reordered);
            var rules = Rules(prompt);
            return new DropPlan(request, rules, request.Generated is null ? rules : Rules(generated), means, prompt.Followed ?? generated.Followed, Equals(prompt.Expected, generated.Expected) ? prompt.Expected : null)
            {
                AllAdaptive = prompt.Followed is not null && generated.Followed is not null,
            };
        }
    }

    private LayerRule?[] Rules(Resolved resolved)
    {
        var config = checkpoint.Config;
        int experts = config.Moe?.Experts ?? 0;
        double[] rates = resolved.Followed?.LayerRates(resolved.Request.Rate!.Value) ?? [];
        return [.. config.LayerPlan.Select((layer, l) => !layer.IsMoe ? null
            : resolved.Followed is { } method ? LayerRule.Of(resolved.Request, rates, method, l, experts)
            : LayerRule.Of(resolved.Request, l, experts))];
    }

    private Resolved Resolve(DropRequest request)
    {
        if (request.Rate is null or 0 && request.MaxKl is null)
            return new(request.Rate is 0 ? request with { Thresholds = DropThresholds.None, Layers = null } : request, null, null);
        var method = Method(request);
        if (request.MaxKl is { } kl)
        {
            double within = method.RateWithin(kl);
            var thresholds = method.Request(within) with { Guard = request.Guard };
            thresholds.Check(checkpoint.Config.Layers, checkpoint.Config.Moe?.Experts ?? 0);
            return new(thresholds, null, method.LossAt(within));
        }

        method.CheckRate(request.Rate!.Value);
        // δ is part of the method only without a file.
        (string?, float) key = profile!.Count > 0 ? (method.Name, 0) : (null, request.Delta);
        if (!followed.TryGetValue(key, out var follow))
            followed.Add(key, follow = new FollowedMethod(method, [.. checkpoint.Config.LayerPlan.Select(l => l.IsMoe)]));
        return new(request with { Compensate = method.Compensate || (request.Compensate && profile!.Count == 0) }, follow, null);
    }

    private DropMethod Method(DropRequest request)
    {
        var config = checkpoint.Config;
        profile ??= DropProfile.Find(checkpoint.Folder)?.Methods ?? [];
        if (profile.Count == 0)
        {
            return request.MaxKl is null && request.Method is null ? DropMethod.OfScores(config, request.Delta) : throw new ArgumentException(
                $"{ProfilePath} {(File.Exists(ProfilePath) ? "holds no thresholds" : "isn't there")}, which a {(request.Method is null ? "loss" : "method")} needs: 'dualsparse sparsify' writes a model that has it");
        }

        var named = request.Method is null ? profile[0] : profile.FirstOrDefault(m => m.Name == request.Method)
            ?? throw new ArgumentException($"there is no method '{request.Method}' in {DropProfile.FileName}, expected {string.Join(" or ", profile.Select(m => m.Name))}");
        int layers = config.Layers, experts = config.Moe?.Experts ?? 0;
        if (!named.Points.All(p => p.Thresholds.Count == layers && (p.Rates?.Count ?? layers) == layers) || (named.Scales?.Count ?? layers) != layers)
            throw new ModelFormatException($"{ProfilePath}: '{named.Name}' is for another number of layers than the model's {layers}");
        return named.Scales?.FirstOrDefault(scales => scales is not null && scales.Count != experts) is { } wrong
            ? throw new ModelFormatException($"{ProfilePath}: '{named.Name}' has scales for {wrong.Count} experts, the model has {experts}")
            : named;
    }

    // A request with its fixed thresholds, or with the method of its adaptive ones.
    private readonly record struct Resolved(DropRequest Request, FollowedMethod? Followed, ExpectedLoss? Expected);
}
