using DualSparse.Engine.Moe;
using DualSparse.Kernels.Ops;
using DualSparse.Models;
using DualSparse.Training.Ops;

namespace DualSparse.Tests.Training.Ops;

public unsafe class RouterOpTests
{
    private const int Tokens = 70;
    private const float Z = 0.3f;

    // Experts, k, renormalised, groups; weights are scaled by 2.5.
    public static TheoryData<int, int, bool, int> Rules => new()
    {
        { 5, 1, false, 1 }, { 5, 1, true, 1 }, { 16, 4, false, 1 }, { 16, 4, true, 1 }, { 13, 13, true, 1 }, { 20, 3, false, 1 }, { 16, 2, true, 4 },
    };

    [Theory]
    [MemberData(nameof(Rules))]
    public void Forward_routes_as_the_engine_does(int experts, int k, bool renormalised, int groups)
    {
        var config = Config(experts, k, renormalised, groups);
        var logits = FloatBlock.Random(Tokens * experts, 1, 3);
        var plan = new RoutingPlan();
        FloatBlock p = new(0), logSums = new(Tokens);
        RouterTotals totals = new(experts);
        GradientCheck.WithAnyThreads(team =>
        {
            p = new(logits.Values);
            totals = RouterOp.Forward(team, config, p.Pointer, Tokens, plan, logSums.Pointer);
            return [.. p.Values, .. logSums.Values, .. plan.Weights, .. totals.Probabilities.Select(v => (float)v), (float)totals.SquaredLogSums];
        });
        int[] chosen = new int[k];
        float[] weights = new float[k], scores = new float[k], softmax = new float[experts];
        for (int t = 0; t < Tokens; t++)
        {
            float[] row = logits.Values[(t * experts)..((t + 1) * experts)];
            Softmax.Forward(row, softmax);
            Assert.Equal(softmax, p.Values[(t * experts)..((t + 1) * experts)]);
            Assert.Equal(Math.Log(row.Sum(v => Math.Exp(v))), logSums.Values[t], 1e-6);
            RouterRule.Choose(config, row, chosen, weights, scores);
            Assert.Equal(chosen, plan.Experts.Slice(t * k, k).ToArray());
            Assert.Equal(weights, plan.Weights.Slice(t * k, k).ToArray());
            Assert.Equal(scores, plan.Scores.Slice(t * k, k).ToArray());
        }

        Assert.Equal(Tokens, totals.Tokens);
        Assert.Equal(Enumerable.Range(0, experts).Select(e => (long)plan.Experts.Count(e)), totals.Pairs);
        for (int e = 0; e < experts; e++)
            Assert.Equal(Enumerable.Range(0, Tokens).Sum(t => (double)p.Values[t * experts + e]), totals.Probabilities[e], 1e-4);
        Assert.Equal(logSums.Values.Sum(v => (double)v * v), totals.SquaredLogSums, 1e-9);
    }

    [Theory]
    [MemberData(nameof(Rules))]
    public void Backward_is_the_gradient(int experts, int k, bool renormalised, int groups)
    {
        var config = Config(experts, k, renormalised, groups);
        FloatBlock logits = FloatBlock.Random(Tokens * experts, 2, 3), dWeights = FloatBlock.Random(Tokens * k, 3);
        float[] balance = FloatBlock.Random(experts, 4).Values;
        var plan = new RoutingPlan();
        float[] gradient = GradientCheck.WithAnyThreads(team =>
        {
            FloatBlock p = new(logits.Values), logSums = new(Tokens), d = new(Tokens * experts);
            RouterOp.Forward(team, config, p.Pointer, Tokens, plan, logSums.Pointer);
            RouterOp.Backward(team, config, plan, p.Pointer, logSums.Pointer, dWeights.Pointer, balance, Z, d.Pointer);
            RouterOp.Backward(team, config, plan, p.Pointer, logSums.Pointer, dWeights.Pointer, balance, Z, p.Pointer);
            Assert.Equal(d.Values, p.Values);
            return d.Values;
        });
        GradientCheck.Near(GradientCheck.Numeric(Loss, logits.Values), gradient);

        // With the experts as they were chosen.
        double Loss(double[] x)
        {
            double loss = 0;
            for (int t = 0; t < Tokens; t++)
            {
                double sum = 0, ofChosen = 0;
                for (int e = 0; e < experts; e++)
                    sum += Math.Exp(x[t * experts + e]);
                double P(int e) => Math.Exp(x[t * experts + e]) / sum;
                for (int e = 0; e < experts; e++)
                    loss += balance[e] * P(e);
                for (int j = 0; j < k; j++)
                    ofChosen += P(plan.Experts[t * k + j]);
                for (int j = 0; j < k; j++)
                    loss += dWeights.Values[t * k + j] * config.RoutedScale * P(plan.Experts[t * k + j]) / (renormalised ? ofChosen : 1);
                loss += Z * Math.Log(sum) * Math.Log(sum);
            }

            return loss;
        }
    }

    private static MoeConfig Config(int experts, int k, bool renormalised, int groups) => new()
    {
        Experts = experts,
        TopK = k,
        Intermediate = 8,
        NormTopK = renormalised,
        Groups = groups,
        TopKGroups = Math.Max(1, groups / 2),
        RoutedScale = 2.5f,
    };
}
