using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace DualSparse.Models.Text.Templates;

/// <summary>What one rendering may use: work, memory, recursion. A template that wants more is stopped with an error, so that none can hang or fill a server.</summary>
/// <param name="inputLength">Characters of messages, tools and variables.</param>
internal sealed class Allowance(long inputLength)
{
    // A long conversation takes some hundred thousand steps; ten million are about a second.
    private const long MostSteps = 10_000_000;

    // Steps aren't equally long. The clock stops what steps of the longest kind make of it, which no template in use comes near.
    private const int MostSeconds = 20;
    private const int StepsPerLook = 1024;

    // A search or comparison passes about this many characters in the time of a step.
    private const int CharactersPerStep = 64;

    // Characters and, at eight each, elements that a rendering makes in all, whether it keeps them or not: what templates in use make is
    // some ten times the conversation.
    private const long FixedCharacters = 16_000_000, CharactersPerInput = 64;
    private const int CharactersPerElement = 8;

    // Python stops at about 200 nested macros. Values nested deeper than this come from nowhere but a template that means harm.
    private const int MostDepth = 200;

    private readonly long mostCharacters = FixedCharacters + (CharactersPerInput * inputLength);
    private readonly long start = Stopwatch.GetTimestamp();
    private long steps;
    private long nextLook = StepsPerLook;
    private long characters;
    private int depth;

    /// <summary>Counts a step of the evaluation.</summary>
    public void Step()
    {
        if (++steps > MostSteps)
            throw TooMuch($"takes more than {MostSteps} steps");
        if (steps > nextLook)
        {
            nextLook = steps + StepsPerLook;
            if (Stopwatch.GetElapsedTime(start).TotalSeconds > MostSeconds)
                throw TooMuch($"takes more than {MostSeconds} seconds");
        }

        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw TooMuch("is nested too deeply");
    }

    /// <summary>Counts characters that are searched or compared.</summary>
    public void Pass(long count)
    {
        steps += count / CharactersPerStep;
        Step();
    }

    /// <summary>Counts characters that are made.</summary>
    public void Take(long count)
    {
        characters += count;
        if (count < 0 || characters > mostCharacters)
            throw TooMuch($"makes more than {mostCharacters} characters");
    }

    /// <summary>Counts elements of a list that are made.</summary>
    public void TakeElements(long count) => Take(count > mostCharacters ? count : count * CharactersPerElement);

    /// <summary>Enters a macro, or a value inside a value; <see cref="Leave"/> ends it.</summary>
    public void Enter()
    {
        if (++depth > MostDepth || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw TooMuch($"is nested more than {MostDepth} levels deep");
    }

    /// <summary>Leaves what <see cref="Enter"/> entered.</summary>
    public void Leave() => depth--;

    private static TemplateError TooMuch(string what) => new($"the rendering {what} and is stopped");
}
